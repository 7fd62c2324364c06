import { randomBytes } from 'node:crypto';
import { type DiskConsent, serialSchema, signConsent } from '../../disk/consent.ts';
import { toHex } from '../../lib/bytes.ts';
import { formatBytes, HOUR_MS } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import { chooseNode, type KnownNode, listNodes, openGrid } from '../grid.ts';
import { readFarms, readSelf } from '../store.ts';
import { plain, shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { chooseFarm } from './farm.ts';

/** A disk that is not there yet may be put in meanwhile. */
const VALID_MS = 24 * HOUR_MS;

export type DiskWish = {
  readonly do: DiskConsent['do'];
  /** The first digits of the node's id. */
  readonly node: string;
  readonly serial: string;
  readonly farm: string | undefined;
};

/** `zos farm disk take` and `wipe`: signs that one node may have one disk, by its serial number. */
export async function consentToDisk(world: World, wish: DiskWish): Promise<void> {
  const self = await readSelf(world.home);
  const farm = chooseFarm(await readFarms(world.home), wish.farm);
  const grid = await openGrid(world);
  const nowMs = world.nowMs();
  const node = chooseNode((await listNodes(grid, nowMs)).known, wish.node);
  const what = whatIsThere(node, wish);
  const { id } = node.identity;
  const consent: DiskConsent = {
    grid: grid.name,
    farm: farm.id,
    farmer: self.identity.id,
    node: id,
    serial: wish.serial,
    do: wish.do,
    nonce: toHex(randomBytes(16)),
    notAfterMs: nowMs + VALID_MS,
  };
  const said = await grid.client.putDiskConsent(farm.id, signConsent(consent, self.keys.signing));
  const text =
    `Node ${shortId(id)} may ${wish.do} disk ${wish.serial}: ${what}. It does so once, as ` +
    `soon as it hears of it, within a day.\n` +
    `Next: \`zos nodes show ${shortId(id)}\` shows its disks.\n`;
  answer(world, { node: id, serial: wish.serial, do: wish.do, consent: said.id }, text);
}

/** The node's word on it; throws `BotError` where it knows none, or nothing is to do. */
function whatIsThere({ identity, heartbeat }: KnownNode, { serial, do: what }: DiskWish): string {
  const disks = heartbeat?.disks ?? [];
  const found = disks.filter((disk) => disk.serial === serial);
  const [disk] = found;
  if (!serialSchema.safeParse(serial).success || disk === undefined || found.length > 1) {
    const all = disks.map((each) => each.serial).filter((each) => each !== '');
    const known = all.length === 0 ? 'none' : all.join(', ');
    throw new BotError(
      'DISK_UNKNOWN',
      plain(`Node ${shortId(identity.id)} has no one disk "${serial}"; it says it has: ${known}.`),
    );
  }
  const { model, lengthBytes, because } = disk;
  if (disk.class !== null) {
    const sentence = `Disk ${serial} is a data disk of this node already; nothing is to be done.`;
    throw new BotError('DISK_UNKNOWN', plain(sentence));
  }
  const loss = what === 'wipe' ? ', and all that is on it goes' : '';
  return plain(`${model} of ${formatBytes(lengthBytes)} (${because})${loss}`);
}
