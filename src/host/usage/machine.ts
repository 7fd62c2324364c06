import { readdir, readFile, statfs } from 'node:fs/promises';

/** Sectors of /proc/diskstats, whatever the disk's own are (iostats.rst). */
const SECTOR_BYTES = 512;

export type Ticks = { readonly busy: number; readonly all: number };

/** Time of all processors since the machine started, out of /proc/stat (proc_stat(5)). */
export function ticksOf(stat: string): Ticks {
  const fields = /^cpu +(.*)$/mu.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  // Guests' time is in user time already.
  const all = fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
  return { busy: all - idle, all };
}

/** What was busy between two readings, in thousandths. */
export function busyPermille(before: Ticks, after: Ticks): number {
  const all = after.all - before.all;
  if (all <= 0) return 0;
  return Math.min(1000, Math.max(0, Math.round(((after.busy - before.busy) / all) * 1000)));
}

/** Hundredths of a percent of the last minute in which some work waited, out of a PSI file. */
export function pressureOf(text: string): number | undefined {
  const avg60 = /^some avg10=[\d.]+ avg60=([\d.]+)/mu.exec(text)?.[1];
  return avg60 === undefined ? undefined : Math.min(10_000, Math.round(Number(avg60) * 100));
}

export type Traffic = { readonly receivedBytes: number; readonly sentBytes: number };

/** What went over these links, out of /proc/net/dev. */
export function trafficOf(dev: string, links: ReadonlySet<string>): Traffic {
  let [receivedBytes, sentBytes] = [0, 0];
  for (const line of dev.split('\n')) {
    const [, link = '', counts = ''] = /^ *([^:\s]+): *(.*)$/u.exec(line) ?? [];
    if (!links.has(link)) continue;
    const fields = counts.trim().split(/ +/u).map(Number);
    receivedBytes += fields[0] ?? 0;
    sentBytes += fields[8] ?? 0;
  }
  return { receivedBytes, sentBytes };
}

export type DiskTraffic = { readonly readBytes: number; readonly writtenBytes: number };

/** What went to and from these disks, out of /proc/diskstats. */
export function diskTrafficOf(stats: string, disks: ReadonlySet<string>): DiskTraffic {
  let [readBytes, writtenBytes] = [0, 0];
  for (const line of stats.split('\n')) {
    const fields = line.trim().split(/ +/u);
    if (!disks.has(fields[2] ?? '')) continue;
    readBytes += Number(fields[5] ?? 0) * SECTOR_BYTES;
    writtenBytes += Number(fields[9] ?? 0) * SECTOR_BYTES;
  }
  return { readBytes, writtenBytes };
}

/** The processors' time until now. */
export async function readTicks(): Promise<Ticks> {
  return ticksOf(await readFile('/proc/stat', 'utf8'));
}

export type Pressure = { readonly cpu: number; readonly memory: number; readonly io: number };

/** What work waited for in the last minute; `null` from a kernel that does not count it. */
export async function readPressure(): Promise<Pressure | null> {
  const read = async (name: string): Promise<number | undefined> =>
    pressureOf(await readFile(`/proc/pressure/${name}`, 'utf8').catch(() => ''));
  const [cpu, memory, io] = await Promise.all(['cpu', 'memory', 'io'].map(read));
  if (cpu === undefined || memory === undefined || io === undefined) return null;
  return { cpu, memory, io };
}

/** What went over the machine's own cards, and not over what the node made. */
export async function readTraffic(): Promise<Traffic> {
  const cards = await devicesIn('/sys/class/net');
  return trafficOf(await readFile('/proc/net/dev', 'utf8'), cards);
}

/** What went to and from the machine's own disks. */
export async function readDiskTraffic(): Promise<DiskTraffic> {
  const disks = await devicesIn('/sys/block');
  return diskTrafficOf(await readFile('/proc/diskstats', 'utf8').catch(() => ''), disks);
}

/** Room in the file system that a folder lies in. */
export async function readRoom(folder: string) {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { lengthBytes: blocks * bsize, freeBytes: bavail * bsize };
}

/** Those of a class that have hardware behind them. */
async function devicesIn(folder: string): Promise<ReadonlySet<string>> {
  const names: string[] = await readdir(folder).catch(() => []);
  const held = await Promise.all(
    names.map(async (name) => {
      const inside: string[] = await readdir(`${folder}/${name}`).catch(() => []);
      return inside.includes('device') ? [name] : [];
    }),
  );
  return new Set(held.flat());
}
