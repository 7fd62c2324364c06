import { statSync } from 'node:fs';
import { open, readdir, stat, truncate } from 'node:fs/promises';
import { CRUN_ROOT, type CrunNotes, type CrunState, listContainers } from '../host/crun.ts';
import { readTextNow } from '../host/files.ts';
import { KiB, MiB, SECOND_MS } from '../lib/units.ts';
import { ANNOTATION } from './oci.ts';
import type { ContainerHave } from './plan.ts';

/** Where the node keeps what it made for each container: crun's bundle and the log. */
export const BUNDLE_ROOT = '/run/zos/containers';

/** A log's file system, and how long the log may grow before its older half goes. */
export const LOG_BYTES_MAX = 2 * MiB;
const LOG_BYTES_HALF = LOG_BYTES_MAX / 2;

/** A cgroup for each container, by its id. */
export const CGROUP_ROOT = '/sys/fs/cgroup/zos/containers';
/** USER_HZ, in which the kernel tells start times (proc_pid_stat(5)). */
const TICK_MS = 10;

/**
 * What a run uses is read in every third look only, for it is most of the work of one: what a run
 * did after its last count is lost, and never guessed (`src/capacity/use/meter.ts`).
 */
const LOOKS_PER_COUNT = 3;

/**
 * Opens a look at every container of ours that crun knows, by id, with what the kernel shows of it;
 * and at what a start that was cut off left behind, which crun does not know.
 */
export function openContainerLook(): () => Promise<ReadonlyMap<string, ContainerHave>> {
  const notes: CrunNotes = new Map();
  let before: ReadonlyMap<string, Seen> = new Map();
  let looks = 0;
  return async () => {
    const [states, bundles] = await Promise.all([
      listContainers(CRUN_ROOT, notes),
      readdir(BUNDLE_ROOT).catch((): string[] => []),
    ]);
    looks += 1;
    const seen = new Map<string, Seen>();
    const known = new Map<string, ContainerHave>();
    for (const state of states) {
      const { id, pid } = state;
      if (state.annotations[ANNOTATION.id] !== id) continue;
      const last = before.get(id);
      // A third of them in each look: all at once would make every third one long.
      const isDue = (looks + pid) % LOOKS_PER_COUNT === 0;
      const now = last?.state === state && !isDue ? last : count(state, last);
      seen.set(id, now);
      known.set(id, await haveOf(now));
    }
    before = seen;
    for (const id of bundles) if (!known.has(id)) known.set(id, { ...UNKNOWN, id });
    return known;
  };
}

/** What is not read anew in every look. */
type Seen = Pick<ContainerHave, 'startedAtMs' | 'oomKills' | 'counts'> & {
  readonly state: CrunState;
};

function count(state: CrunState, last: Seen | undefined): Seen {
  const { id, pid, startTicks } = state;
  const isSameRun = last?.state.pid === pid && last.state.startTicks === startTicks;
  const events = readTextNow(`${CGROUP_ROOT}/${id}/memory.events`, 4 * KiB);
  return {
    state,
    startedAtMs: isSameRun ? last.startedAtMs : readBootMs() + startTicks * TICK_MS,
    oomKills: Number(/^oom_kill (\d+)$/mu.exec(events ?? '')?.[1] ?? 0),
    counts: state.state === 'running' ? readCounts(state) : null,
  };
}

const UNKNOWN = {
  digest: undefined,
  state: 'stopped',
  pid: 0,
  startTicks: 0,
  startedAtMs: 0,
  oomKills: 0,
  logBytes: 0,
  counts: null,
} as const;

async function haveOf({ state, startedAtMs, oomKills, counts }: Seen): Promise<ContainerHave> {
  const { id, pid, startTicks } = state;
  return {
    id,
    digest: state.annotations[ANNOTATION.digest],
    state: state.state,
    pid,
    startTicks,
    startedAtMs,
    oomKills,
    // A loud container can fill its log between two steps of ours. That is its own loss: it never
    // keeps the node from seeing this container or any other.
    logBytes: await boundLog(id).catch(() => LOG_BYTES_MAX),
    counts,
  };
}

/** Out of its cgroup (cgroup-v2.rst) and its own network (proc_pid_net(5)); all or nothing. */
function readCounts({ id, pid }: CrunState): ContainerHave['counts'] {
  const cpu = readTextNow(`${CGROUP_ROOT}/${id}/cpu.stat`, 4 * KiB);
  const memory = readTextNow(`${CGROUP_ROOT}/${id}/memory.current`, 4 * KiB);
  const links = readLinks(pid);
  const usage = /^usage_usec (\d+)$/mu.exec(cpu ?? '')?.[1];
  if (usage === undefined || memory === undefined || links === undefined) return null;
  return {
    cpuMs: Math.floor(Number(usage) / 1000),
    memoryBytes: Number(memory),
    ...traffic(links),
  };
}

/** Of a process that ends meanwhile, whatever the kernel says of it then. */
function readLinks(pid: number): string | undefined {
  try {
    return readTextNow(`/proc/${pid}/net/dev`, 64 * KiB);
  } catch {
    return undefined;
  }
}

/** What went over a container's one link; nothing where it has none. */
export function traffic(links: string): { receivedBytes: number; sentBytes: number } {
  const fields = /^ *eth0: *(.*)$/mu.exec(links)?.[1]?.trim().split(/ +/u) ?? [];
  return { receivedBytes: Number(fields[0] ?? 0), sentBytes: Number(fields[8] ?? 0) };
}

function readBootMs(): number {
  const text = readTextNow('/proc/stat', MiB) ?? '';
  return Number(/^btime (\d+)$/mu.exec(text)?.[1] ?? 0) * SECOND_MS;
}

/** Where a container's outputs are kept. */
export function logPath(id: string): string {
  return `${BUNDLE_ROOT}/${id}/log/log`;
}

/** The end of a container's log, not longer than told; empty when there is none. */
export async function readLogTail(id: string, bytesMax: number): Promise<Uint8Array> {
  const path = logPath(id);
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  const lengthBytes = Math.min(size, bytesMax);
  if (lengthBytes === 0) return new Uint8Array();
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(
    new Uint8Array(lengthBytes),
    0,
    lengthBytes,
    size - lengthBytes,
  );
  return buffer.subarray(0, bytesRead);
}

/**
 * Keeps a log short: past half of what its file system holds, all but its end is cut off. The
 * container appends, so it goes on behind that end; what it writes meanwhile may be lost.
 */
async function boundLog(id: string): Promise<number> {
  const path = logPath(id);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= LOG_BYTES_HALF) return size;
  const tail = await readLogTail(id, LOG_BYTES_HALF / 2);
  await truncate(path, 0);
  await using file = await open(path, 'a');
  await file.write(tail);
  return tail.length;
}
