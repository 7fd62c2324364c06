import { setTimeout } from 'node:timers/promises';
import { formatExt4 } from '../host/disk.ts';
import { isMountPoint, mount } from '../host/mount.ts';
import { hasStorageController, observeDisks } from './observe.ts';
import { DATA_LABEL, DATA_PATH, type DataDiskStep, planDataDisk, type SeenDisk } from './plan.ts';

/** The node's data disk, mounted; or why there is none. */
export type DataDisk =
  | { readonly path: typeof DATA_PATH; readonly disk: SeenDisk; readonly isNew: boolean }
  | { readonly path: null; readonly because: readonly string[] };

const SETTLED_MS = 1500;
const LOOK_MS = 250;
const SETTLE_MS_MAX = 15_000;

/** Finds, or with consent makes, the data disk, and mounts it at `/data`. */
export async function openDataDisk(wish: {
  readonly takeBlankDisks: boolean;
  readonly signal?: AbortSignal;
}): Promise<DataDisk> {
  const step = await findDataDisk(wish.takeBlankDisks, wish.signal);
  if (step.do === 'none') return { path: null, because: step.because };
  const abort = wish.signal === undefined ? {} : { signal: wish.signal };
  if (step.do === 'format') await formatExt4({ path: step.disk.path, label: DATA_LABEL, ...abort });
  if (!(await isMountPoint(DATA_PATH))) {
    const options = ['nosuid', 'nodev', 'noexec'];
    await mount({ type: 'ext4', source: step.disk.path, path: DATA_PATH, options, ...abort });
  }
  return { path: DATA_PATH, disk: step.disk, isNew: step.do === 'format' };
}

/**
 * Disks appear some time after their driver: ours is taken as soon as it is seen, and that there
 * is none is believed only when no disk has come for a while. A node that is too quick about it
 * would make a new key and be another node.
 */
async function findDataDisk(
  takeBlankDisks: boolean,
  signal: AbortSignal | undefined,
): Promise<DataDiskStep> {
  const isWorthWaiting = await hasStorageController();
  let count = -1;
  let quietMs = 0;
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const disks = await observeDisks();
    const step = planDataDisk(disks.map(asOurs), takeBlankDisks);
    if (step.do === 'mount' || !isWorthWaiting) return step;
    quietMs = disks.length === count ? quietMs + LOOK_MS : 0;
    count = disks.length;
    if (quietMs >= SETTLED_MS || waitedMs >= SETTLE_MS_MAX) return step;
    await setTimeout(LOOK_MS, undefined, signal === undefined ? {} : { signal });
  }
}

/** After a restart of the agent our disk is in use by us. */
function asOurs(disk: SeenDisk): SeenDisk {
  const isOurs = disk.content.kind === 'ext4' && disk.content.label === DATA_LABEL;
  return isOurs ? { ...disk, isInUse: false } : disk;
}
