import { observeInventory } from '../../capacity/observe.ts';
import { capacityOf, featuresOf, hardwareOf } from '../../capacity/status.ts';
import type { DataDisk } from '../../volume/apply.ts';
import type { OwnClass } from '../bringup/attestation.ts';
import type { OfferContent } from './offer.ts';

export type Counted = {
  readonly grid: string;
  readonly node: string;
  readonly disk: DataDisk;
  readonly own: OwnClass;
};

/** What this machine offers, but for what its farmer asks. */
export async function countCapacity({ grid, node, disk, own }: Counted): Promise<OfferContent> {
  const inventory = await observeInventory(disk.path === null ? null : disk.disk);
  return {
    grid,
    node,
    capacity: capacityOf(inventory),
    class: own.class,
    endorsement: own.endorsement,
    features: featuresOf(inventory, own.endorsement !== null),
    hardware: hardwareOf(inventory),
  };
}
