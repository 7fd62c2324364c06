import { readdir, readFile } from 'node:fs/promises';

/** What this process takes of the machine. */
export type OwnUse = {
  /** Memory that no file could give back (RssAnon of proc_pid_status(5)). */
  readonly memoryBytes: number;
  readonly descriptors: number;
  readonly timers: number;
};

/** Reads what this process takes now. */
export async function readOwnUse(): Promise<OwnUse> {
  const [status, descriptors] = await Promise.all([
    readFile('/proc/self/status', 'utf8'),
    readdir('/proc/self/fd'),
  ]);
  const kib = Number(/^RssAnon:\s+(\d+) kB$/mu.exec(status)?.[1] ?? 0);
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout');
  // One descriptor is of this very reading.
  return {
    memoryBytes: kib * 1024,
    descriptors: Math.max(0, descriptors.length - 1),
    timers: timers.length,
  };
}

/** Milliseconds of processor time that this process took so far, of all its threads together. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
