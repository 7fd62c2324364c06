import { observeInventory } from '../../capacity/observe.ts';
import { capacityOf, featuresOf, hardwareOf } from '../../capacity/status.ts';
import type { DataDisk } from '../../disk/apply.ts';
import { formatBytes } from '../../lib/units.ts';
import type { OwnClass } from '../bringup/attestation.ts';
import type { AgentConsole } from '../bringup/console.ts';
import type { Self } from '../bringup/identity.ts';
import type { Troubles } from '../health/troubles.ts';
import { type Asked, type OfferContent, type OfferHolder, openOffer } from './offer.ts';
import { openReserve, type ReserveHolder } from './reserve.ts';

export type Counted = {
  readonly grid: string;
  readonly self: Self;
  readonly disk: DataDisk;
  readonly own: OwnClass;
  readonly console: Pick<AgentConsole, 'reached' | 'say'>;
  /** What the data disk keeps of this node, or without one this boot. */
  readonly folder: string;
  /** SHA-256 of the system image that runs. */
  readonly system: string;
  readonly bootFolder: string;
  readonly troubles: Pick<Troubles, 'set'>;
};

/** Offers what this machine has, less what it measures itself to need, by these terms. */
export async function openOwnOffer(
  counted: Counted,
  terms: Asked,
): Promise<{ readonly offer: OfferHolder; readonly reserve: ReserveHolder }> {
  const { self, folder, console, disk } = counted;
  const reserve = await openReserve({ ...counted, isInMemory: disk.path === null });
  const offer = await openOffer(
    {
      path: `${folder}/offer.json`,
      self: self.identity,
      signer: self.keys.signing,
      content: await countCapacity(counted, reserve.keptBytes),
    },
    terms,
  );
  const { cru, mruBytes, sruBytes } = offer.current().offer.capacity;
  console.reached('offer', `cru=${cru} mruBytes=${mruBytes} sruBytes=${sruBytes}`);
  console.say(`keeps ${formatBytes(reserve.keptBytes)} of memory for the system`);
  return { offer, reserve };
}

/** What this machine offers, but for what its farmer asks. */
async function countCapacity(counted: Counted, reserveBytes: number): Promise<OfferContent> {
  const { grid, self, disk, own } = counted;
  const inventory = await observeInventory(disk.disks);
  return {
    grid,
    node: self.identity.id,
    capacity: capacityOf(inventory, reserveBytes),
    class: own.class,
    endorsement: own.endorsement,
    features: featuresOf(inventory, own.endorsement !== null),
    hardware: hardwareOf(inventory),
  };
}
