import { open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { type CrunState, listContainers } from '../host/crun.ts';
import { readText } from '../host/files.ts';
import { KiB, MiB, SECOND_MS } from '../lib/units.ts';
import { ANNOTATION } from './oci.ts';
import type { ContainerHave } from './plan.ts';

/** Where the node keeps what it made for each container: crun's bundle and the log. */
export const BUNDLE_ROOT = '/run/zos/containers';

/** A log's file system, and how long the log may grow before its older half goes. */
export const LOG_BYTES_MAX = 2 * MiB;
const LOG_BYTES_HALF = LOG_BYTES_MAX / 2;

const CGROUP_ROOT = '/sys/fs/cgroup/zos/containers';
/** USER_HZ, in which the kernel tells start times (proc_pid_stat(5)). */
const TICK_MS = 10;

/**
 * Every container of ours that crun knows, by id, and what the kernel shows of it; and what a start
 * that was cut off left behind, which crun does not know.
 */
export async function observeContainers(): Promise<ReadonlyMap<string, ContainerHave>> {
  const [states, bundles, bootMs] = await Promise.all([
    listContainers(),
    readdir(BUNDLE_ROOT).catch((): string[] => []),
    readBootMs(),
  ]);
  const ours = states.filter(({ id, annotations }) => annotations[ANNOTATION.id] === id);
  const haves = await Promise.all(ours.map(async (state) => readHave(state, bootMs)));
  const known = new Map(haves.map((have) => [have.id, have]));
  for (const id of bundles) if (!known.has(id)) known.set(id, { ...UNKNOWN, id });
  return known;
}

const UNKNOWN = {
  digest: undefined,
  state: 'stopped',
  pid: 0,
  startedAtMs: 0,
  oomKills: 0,
  logBytes: 0,
  counts: null,
} as const;

async function readHave(state: CrunState, bootMs: number): Promise<ContainerHave> {
  const events = await readText(`${CGROUP_ROOT}/${state.id}/memory.events`, 4 * KiB);
  return {
    id: state.id,
    digest: state.annotations[ANNOTATION.digest],
    state: state.state,
    pid: state.pid,
    startedAtMs: bootMs + state.startTicks * TICK_MS,
    oomKills: Number(/^oom_kill (\d+)$/mu.exec(events ?? '')?.[1] ?? 0),
    // A loud container can fill its log between two steps of ours. That is its own loss: it never
    // keeps the node from seeing this container or any other.
    logBytes: await boundLog(state.id).catch(() => LOG_BYTES_MAX),
    counts: state.state === 'running' ? await readCounts(state) : null,
  };
}

/** Out of its cgroup (cgroup-v2.rst) and its own network (proc_pid_net(5)); all or nothing. */
async function readCounts({ id, pid }: CrunState): Promise<ContainerHave['counts']> {
  const [cpu, memory, links] = await Promise.all([
    readText(`${CGROUP_ROOT}/${id}/cpu.stat`, 4 * KiB),
    readText(`${CGROUP_ROOT}/${id}/memory.current`, 4 * KiB),
    readText(`/proc/${pid}/net/dev`, 64 * KiB).catch(() => undefined),
  ]);
  const usage = /^usage_usec (\d+)$/mu.exec(cpu ?? '')?.[1];
  if (usage === undefined || memory === undefined || links === undefined) return null;
  return {
    cpuMs: Math.floor(Number(usage) / 1000),
    memoryBytes: Number(memory),
    ...traffic(links),
  };
}

/** What went over a container's one link; nothing where it has none. */
export function traffic(links: string): { receivedBytes: number; sentBytes: number } {
  const fields = /^ *eth0: *(.*)$/mu.exec(links)?.[1]?.trim().split(/ +/u) ?? [];
  return { receivedBytes: Number(fields[0] ?? 0), sentBytes: Number(fields[8] ?? 0) };
}

async function readBootMs(): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8');
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
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size <= LOG_BYTES_HALF) return size;
  const tail = await readLogTail(id, LOG_BYTES_HALF / 2);
  await truncate(path, 0);
  await using file = await open(path, 'a');
  await file.write(tail);
  return tail.length;
}
