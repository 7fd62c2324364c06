import type { DataDisk } from '../../disk/apply.ts';
import { type DiskFault, type DiskState, faultOf, FULL_BYTES } from '../../disk/faults.ts';
import { observeDisks } from '../../disk/observe.ts';
import { observeDiskState } from '../../disk/observe-faults.ts';
import { DATA_PATH, type OpenDisk } from '../../disk/plan.ts';
import { type DiskStatus, statusOfDisks } from '../../disk/status.ts';
import { copyRecords, dropReserve, keepReserve } from '../../disk/store.ts';
import { readHealth } from '../../host/health/smart.ts';
import type { Log } from '../../host/log.ts';
import { detach, listMounts } from '../../host/mount.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { HOUR_MS, SECOND_MS } from '../../lib/units.ts';
import type { TroubleCode, Troubles } from '../health/troubles.ts';
import { MEMORY_FOLDER, noteFailed } from './opening.ts';

const LOOK_MS = 5 * SECOND_MS;
/** As long as this, what one disk holds may be missing on another. */
const COPY_MS = 30 * SECOND_MS;
const IMAGES_PATH = '/run/zos/images/mnt';
const LOST_CODES = ['DISK_GONE', 'DISK_READ_ONLY', 'DISK_CORRUPT'] as const;

export type DiskWatchParts = {
  readonly disk: DataDisk;
  readonly troubles: Pick<Troubles, 'set'>;
  /** A data disk can't be used any more: the agent has to open the others. */
  readonly onLost: () => void;
  readonly log: Log;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

export type DiskWatch = {
  /** Every disk of the machine as it was seen last. */
  readonly disks: () => readonly DiskStatus[];
  /** Looks again and again until the signal fires. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/**
 * Looks after the data disks: keeps a copy of the node's records on each and in memory, says what
 * is wrong with one by name, and has the agent go on without a disk that takes nothing any more.
 */
export function openDiskWatch(parts: DiskWatchParts): DiskWatch {
  const health = new Map<string, DiskStatus['health']>();
  let told: readonly DiskStatus[] = [];
  let [copiedAtMs, askedAtMs] = [-Infinity, -Infinity];
  const look = async (): Promise<void> => {
    const nowMs = performance.now();
    const isTime = nowMs - copiedAtMs >= COPY_MS;
    const states = await Promise.all(
      parts.disk.disks.map(async (disk) => observeDiskState(disk, isTime)),
    );
    const faults = states.flatMap((state) => {
      const fault = faultOf(state);
      return fault === undefined ? [] : [{ ...fault, disk: state.disk }];
    });
    if (isTime || faults.length > 0) tell(parts, faults);
    await goOn(parts, faults);
    if (!isTime) return;
    copiedAtMs = nowMs;
    await keepRoom(parts.disk.disks[0], states[0]);
    if (nowMs - askedAtMs >= HOUR_MS) {
      askedAtMs = nowMs;
      await askHealth(parts, health);
    }
    told = await statusesOf(parts.disk, states, health);
    if (!faults.some(({ isLost }) => isLost)) await copyAll(parts);
  };
  return {
    disks: () => told,
    run: async (signal) => {
      while (!signal.aborted) {
        await look().catch((error: unknown) => warn(parts.log, 'disks', error));
        await parts.sleep(LOOK_MS, signal);
      }
    },
  };
}

type FaultyDisk = DiskFault & { readonly disk: OpenDisk };

/** Those of lost disks stay as they were told when the disks were opened, and grow. */
function tell({ troubles }: DiskWatchParts, faults: readonly FaultyDisk[]): void {
  for (const code of ['DISK_FULL', 'DISK_SLOW'] as const) {
    const sentences = faults.filter((fault) => fault.code === code).map((each) => each.sentence);
    troubles.set(code, sentences.length === 0 ? null : sentences.join('; '));
  }
  for (const { isLost, code, sentence } of faults) if (isLost) troubles.set(code, sentence);
}

/** Remembers what was lost, and lets go of it; what runs from memory goes on running. */
async function goOn(parts: DiskWatchParts, faults: readonly FaultyDisk[]): Promise<void> {
  const lost = faults.filter(({ isLost }) => isLost);
  if (lost.length === 0) return;
  for (const { disk, code, sentence } of lost) {
    const known = LOST_CODES.find((each) => each === code);
    if (known !== undefined) await noteFailed({ device: disk.device, code: known, sentence });
  }
  const first = parts.disk.disks[0];
  // An image on a disk that can't be read is fetched anew when something next needs it.
  const isUnreadable = lost.some((each) => each.disk === first && each.code !== 'DISK_READ_ONLY');
  if (isUnreadable) await detachImages();
  parts.onLost();
}

async function detachImages(): Promise<void> {
  const mounts = await listMounts();
  const stale = mounts.filter(
    ({ path, source }) => path.startsWith(`${IMAGES_PATH}/`) && source.startsWith(`${DATA_PATH}/`),
  );
  for (const { path } of stale) await detach(path);
}

/** So that the node can still write its own records on a disk that others filled. */
async function keepRoom(disk: OpenDisk | undefined, state: DiskState | undefined): Promise<void> {
  if (disk === undefined || state === undefined) return;
  if (state.probe === 'full') await dropReserve(disk.path);
  else if (state.probe === 'written' && state.freeBytes > 2 * FULL_BYTES) {
    await keepReserve(disk.path);
  }
}

async function copyAll({ disk, log }: DiskWatchParts): Promise<void> {
  const [first, ...others] = disk.disks;
  if (first === undefined) return;
  const folders = [MEMORY_FOLDER, ...others.map(({ path }) => `${path}/node`)];
  for (const folder of folders) {
    await copyRecords(`${first.path}/node`, folder).catch((error: unknown) => {
      warn(log, `copy of the records in ${folder}`, error);
    });
  }
}

async function askHealth(
  { troubles }: DiskWatchParts,
  health: Map<string, DiskStatus['health']>,
): Promise<void> {
  const failing: string[] = [];
  for (const { path, serial } of await observeDisks()) {
    const found = await readHealth(path);
    health.set(path, found);
    if (found.state === 'failing') failing.push(`disk ${serial} (${path}): ${found.because}`);
  }
  const code: TroubleCode = 'DISK_FAILING';
  troubles.set(code, failing.length === 0 ? null : `${failing.join('; ')}; replace it soon`);
}

async function statusesOf(
  disk: DataDisk,
  states: readonly DiskState[],
  health: ReadonlyMap<string, DiskStatus['health']>,
): Promise<readonly DiskStatus[]> {
  const because = new Map(disk.refused.map((each) => [each.disk.path, each.because]));
  const seen = await observeDisks();
  return statusOfDisks(
    seen.map((each) => ({
      disk: each,
      open: disk.disks.find(({ device }) => device === each.path),
      freeBytes: states.find((state) => state.disk.device === each.path)?.freeBytes ?? 0,
      because: because.get(each.path) ?? 'it came after the start of the machine',
      health: health.get(each.path) ?? { state: 'unknown', because: '' },
    })),
  );
}

function warn(log: Log, what: string, error: unknown): void {
  log.warn({ what, code: codeOf(error), sentence: sentenceOf(error) }, 'trouble');
}
