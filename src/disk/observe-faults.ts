import { access, open, readFile, statfs } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { listMounts } from '../host/mount.ts';
import { SECOND_MS } from '../lib/units.ts';
import type { DiskState, Probe } from './faults.ts';
import type { OpenDisk } from './plan.ts';

const PROBE_MS_MAX = 10 * SECOND_MS;
const PROBE_NAME = 'zos-alive';

/**
 * Looks at a data disk, and where it is asked for, writes a small file on it: only that shows that
 * it takes any.
 */
export async function observeDiskState(disk: OpenDisk, isProbed: boolean): Promise<DiskState> {
  const name = disk.device.replace('/dev/', '');
  const mounted = (await listMounts()).findLast(({ path }) => path === disk.path);
  const isThere = await access(`/sys/block/${name.replaceAll('/', '!')}`).then(
    () => true,
    () => false,
  );
  const space = await statfs(disk.path).catch(() => undefined);
  const errors = await readFile(`/sys/fs/ext4/${name}/errors_count`, 'utf8').catch(() => '0');
  const isReadOnly = mounted?.systemOptions.includes('ro') === true;
  return {
    disk,
    isThere: isThere && mounted !== undefined,
    isReadOnly,
    errorCount: Number(errors) || 0,
    freeBytes: space === undefined ? 0 : space.bavail * space.bsize,
    probe: isProbed && isThere && !isReadOnly ? await probe(disk.path) : 'written',
  };
}

const PROBES: Readonly<Record<string, Probe>> = { ENOSPC: 'full', EROFS: 'read-only' };

async function probe(folder: string): Promise<Probe> {
  const ending = new AbortController();
  const late = pause(PROBE_MS_MAX, 'slow' as const, { signal: ending.signal }).catch(
    () => 'slow' as const,
  );
  try {
    return await Promise.race([write(`${folder}/${PROBE_NAME}`), late]);
  } catch (error) {
    return PROBES[(error as NodeJS.ErrnoException).code ?? ''] ?? 'broken';
  } finally {
    ending.abort();
  }
}

/** Its own content changes each time, or nothing would have to be written. */
async function write(path: string): Promise<Probe> {
  await using file = await open(path, 'w', 0o600);
  await file.write(String(performance.now()));
  await file.sync();
  return 'written';
}
