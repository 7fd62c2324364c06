import { setTimeout } from 'node:timers/promises';
import { formatExt4 } from '../host/disk.ts';
import { detach, listMounts, mount, unmount } from '../host/mount.ts';
import { sentenceOf } from '../lib/errors.ts';
import { chooseCopies, type DiskCopy, type LeftDisk } from './copies.ts';
import { hasStorageController, observeDisks } from './observe.ts';
import { measureSpeed } from './observe-speed.ts';
import {
  DATA_LABEL,
  DATA_PATH,
  type DisksPlan,
  DISKS_PATH,
  isLabelledOurs,
  type OpenDisk,
  planDataDisks,
  type RefusedDisk,
  type SeenDisk,
} from './plan.ts';
import { readCard, readCopy, writeCard } from './store.ts';

/** A disk of ours that can't be used, and what people should know of it. */
export type TroubledDisk = {
  readonly disk: SeenDisk;
  readonly code: 'DISK_CORRUPT' | 'DISK_READ_ONLY' | LeftDisk['code'];
  readonly because: string;
};

/** The node's data disks: the first holds its records, at `/data`; or why there is none. */
export type DataDisk = {
  /** Every data disk, the first first, each by a folder of its own. */
  readonly disks: readonly OpenDisk[];
  /** What is no data disk, and why; also those that were ours. */
  readonly refused: readonly RefusedDisk[];
  readonly troubled: readonly TroubledDisk[];
} & (
  | { readonly path: typeof DATA_PATH; readonly disk: SeenDisk; readonly isNew: boolean }
  | { readonly path: null; readonly because: readonly string[] }
);

export type DisksWish = {
  readonly takeBlankDisks: boolean;
  /** Disks that failed in this boot, by path, each with how: they are not tried again. */
  readonly failed?: ReadonlyMap<string, string>;
  /** What the board calls this machine; '' when it does not say. */
  readonly machine: string;
  readonly steady: () => number;
  readonly signal?: AbortSignal;
};

const SETTLED_MS = 1500;
const LOOK_MS = 250;
const SETTLE_MS_MAX = 15_000;
/** A file system that finds itself damaged is written to no more. */
const OPTIONS = ['nosuid', 'nodev', 'noexec', 'errors=remount-ro'];

/** Finds, or with consent makes, the data disks, and mounts the first at `/data`. */
export async function openDataDisks(wish: DisksWish): Promise<DataDisk> {
  const plan = await findDataDisks(wish);
  const troubled: TroubledDisk[] = [];
  const copies: DiskCopy[] = [];
  for (const disk of plan.format) {
    await formatDataDisk(disk.path, wish.signal);
  }
  const fresh = new Set(plan.format);
  for (const disk of [...plan.use, ...plan.format]) {
    const opened = await openOne(disk, wish);
    if ('code' in opened) troubled.push(opened);
    else copies.push(opened);
  }
  const { ours, left } = chooseCopies(copies, wish.machine);
  for (const each of left) {
    await unmount(folderOf(each.disk), wish.signal).catch(async () => detach(folderOf(each.disk)));
    troubled.push(each);
  }
  const disks: OpenDisk[] = [];
  // One after the other: what is measured of one is not to be the work of another.
  for (const { disk } of ours) disks.push(await describe(disk, wish));
  await detachOthers([...ours, ...troubled].map(({ disk }) => folderOf(disk)));
  const rest = { disks, refused: [...plan.refused, ...troubled], troubled };
  const [first] = ours;
  await showAtDataPath(first?.disk, wish);
  if (first !== undefined) {
    return { ...rest, path: DATA_PATH, disk: first.disk, isNew: fresh.has(first.disk) };
  }
  const because = rest.refused.map(({ disk, because: why }) => `${disk.path}: ${why}`);
  return { ...rest, path: null, because: because.length === 0 ? ['there is no disk'] : because };
}

/** Makes a data disk of one that is blank. */
export async function formatDataDisk(path: string, signal?: AbortSignal): Promise<void> {
  await formatExt4({ path, label: DATA_LABEL, ...(signal === undefined ? {} : { signal }) });
}

/** Where a disk of ours is mounted. */
export function folderOf({ serial, path }: Pick<SeenDisk, 'serial' | 'path'>): string {
  return `${DISKS_PATH}/${serial === '' ? path.replaceAll('/', '-').slice(1) : serial}`;
}

/** What a disk that is gone, or failed, left behind. */
async function detachOthers(folders: readonly string[]): Promise<void> {
  const mounted = (await listMounts()).map(({ path }) => path);
  const ours = mounted.filter((path) => path.startsWith(`${DISKS_PATH}/`));
  // Tenants' volumes may be mounted elsewhere, and never below a disk.
  for (const path of ours) if (!folders.includes(path)) await detach(path);
}

/** Mounts a disk, and reads what it says of its node; or says why it can't be used. */
async function openOne(disk: SeenDisk, wish: DisksWish): Promise<DiskCopy | TroubledDisk> {
  const path = folderOf(disk);
  try {
    const mounted = (await listMounts()).find((each) => each.path === path);
    if (mounted !== undefined && mounted.source !== disk.path) await detach(path);
    if (mounted?.source !== disk.path) {
      await mount({ type: 'ext4', source: disk.path, path, options: OPTIONS, ...abortOf(wish) });
    }
    const { systemOptions } = (await listMounts()).findLast((each) => each.path === path) ?? {};
    if (systemOptions?.includes('ro') === true) {
      const because = 'the kernel made it read-only, as it found errors on it';
      return { disk, code: 'DISK_READ_ONLY', because };
    }
    return { disk, ...(await readCopy(`${path}/node`)) };
  } catch (error) {
    const because = `it has our label and can't be read: ${sentenceOf(error)}`;
    return { disk, code: 'DISK_CORRUPT', because: because.slice(0, 300) };
  }
}

async function describe(disk: SeenDisk, wish: DisksWish): Promise<OpenDisk> {
  const path = folderOf(disk);
  const { path: device, serial, lengthBytes } = disk;
  const known = await readCard(path);
  const card = known ?? (await measureSpeed(device, lengthBytes, wish.steady));
  if (known === undefined) await writeCard(path, card);
  return { path, device, serial, class: card.class, lengthBytes };
}

/** What is there already stays, unless it is another disk: containers may be at work on it. */
async function showAtDataPath(disk: SeenDisk | undefined, wish: DisksWish): Promise<void> {
  const there = (await listMounts()).findLast(({ path }) => path === DATA_PATH);
  if (there !== undefined && there.source === disk?.path) return;
  if (there !== undefined) await detach(DATA_PATH);
  if (disk === undefined) return;
  const source = disk.path;
  await mount({ type: 'ext4', source, path: DATA_PATH, options: OPTIONS, ...abortOf(wish) });
}

/**
 * Disks appear some time after their driver: that there is no further one is believed only when
 * none has come for a while. A node that is too quick about it would make a new key and be another
 * node, or take an older copy of its records for the newest. An agent that starts again in the same
 * boot waits for nothing.
 */
async function findDataDisks(wish: DisksWish): Promise<DisksPlan> {
  const isAgain = (await listMounts()).some(({ path }) => path.startsWith(`${DISKS_PATH}/`));
  const isWorthWaiting = !isAgain && (await hasStorageController());
  let count = -1;
  let quietMs = 0;
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const disks = await observeDisks();
    const plan = planOf(disks, wish);
    quietMs = disks.length === count ? quietMs + LOOK_MS : 0;
    count = disks.length;
    const isQuiet = quietMs >= SETTLED_MS || waitedMs >= SETTLE_MS_MAX;
    if (!isWorthWaiting || isQuiet) return plan;
    await setTimeout(LOOK_MS, undefined, abortOf(wish));
  }
}

function planOf(disks: readonly SeenDisk[], { takeBlankDisks, failed }: DisksWish): DisksPlan {
  const good = disks.filter(({ path }) => failed?.has(path) !== true);
  const plan = planDataDisks(good.map(asOurs), takeBlankDisks);
  const bad = disks.filter(({ path }) => failed?.has(path) === true);
  const refused = bad.map((disk) => ({ disk, because: failed?.get(disk.path) ?? '' }));
  return { ...plan, refused: [...refused, ...plan.refused] };
}

/** After a restart of the agent our disk is in use by us. */
function asOurs(disk: SeenDisk): SeenDisk {
  return isLabelledOurs(disk) ? { ...disk, isInUse: false } : disk;
}

function abortOf({ signal }: Pick<DisksWish, 'signal'>): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
