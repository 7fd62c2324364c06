import { readFile } from 'node:fs/promises';

const CONTAINERS_PATH = '/sys/fs/cgroup/zos/containers';

/** All that is taken of a machine's memory and can't be given back at once (proc_meminfo(5)). */
export function takenBytes(meminfo: string): number {
  return Math.max(0, kib(meminfo, 'MemTotal') - kib(meminfo, 'MemAvailable')) * 1024;
}

function kib(meminfo: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'mu').exec(meminfo)?.[1] ?? 0);
}

/** What a control group holds and can't give back at once, out of memory.stat (cgroup-v2.rst). */
export function keptByGroup(stat: string): number {
  const count = (field: string): number =>
    Number(new RegExp(`^${field} (\\d+)$`, 'mu').exec(stat)?.[1] ?? 0);
  const kernel = Math.max(0, count('kernel') - count('slab_reclaimable'));
  return count('anon') + count('shmem') + kernel;
}

/** What the system takes of the machine's memory, without its containers. */
export async function readSystemBytes(): Promise<number> {
  const [meminfo, stat] = await Promise.all([
    readFile('/proc/meminfo', 'utf8'),
    readFile(`${CONTAINERS_PATH}/memory.stat`, 'utf8').catch(() => ''),
  ]);
  return Math.max(0, takenBytes(meminfo) - keptByGroup(stat));
}
