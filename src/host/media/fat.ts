import { posix } from 'node:path';
import { KiB, MINUTE_MS } from '../../lib/units.ts';
import { run } from '../exec.ts';

export type FatPlace = {
  /** A file that has a FAT file system in it. */
  readonly path: string;
  readonly offsetBytes: number;
};

export type FatWish = FatPlace & {
  readonly lengthBytes: number;
  /** At most 11 characters. */
  readonly label: string;
  /** Eight hexadecimal digits. */
  readonly serial: string;
};

export type FatFile = { readonly from: string; readonly to: string };

const SECTOR_BYTES = 512;
/** The smallest that makes a FAT32 of 140 MB: fewer sectors to find a long file by. */
const CLUSTER_SECTORS = 4;

/** Makes an empty FAT32 inside a file; throws `ExecError`. */
export async function makeFat(wish: FatWish): Promise<void> {
  const { path, offsetBytes, lengthBytes, label, serial } = wish;
  const offset = `${offsetBytes / SECTOR_BYTES}`;
  await run({
    file: 'mkfs.vfat',
    args: [
      ['-F', '32', '-s', `${CLUSTER_SECTORS}`, '-n', label, '-i', serial, '--invariant'],
      ['-h', offset, '--offset', offset, path, `${lengthBytes / KiB}`],
    ].flat(),
    deadlineMs: MINUTE_MS,
  });
}

/**
 * Copies files into such a file system, with the folders that they are in. Nothing there tells of
 * this machine or this moment: every time is `timeSeconds`. Throws `ExecError`.
 */
export async function copyToFat(
  place: FatPlace,
  files: readonly FatFile[],
  timeSeconds: number,
): Promise<void> {
  const image = ['-i', `${place.path}@@${place.offsetBytes}`];
  const env = { SOURCE_DATE_EPOCH: `${timeSeconds}`, TZ: 'UTC0', MTOOLSRC: '/dev/null' };
  const folders = new Set(files.flatMap(({ to }) => foldersOf(to)));
  for (const folder of folders) {
    await run({ file: 'mmd', args: [...image, `::${folder}`], env });
  }
  for (const { from, to } of files) {
    const args = [...image, '-n', from, `::${to}`];
    await run({ file: 'mcopy', args, env, deadlineMs: 5 * MINUTE_MS });
  }
}

/** The outermost first. */
function foldersOf(path: string): string[] {
  const folder = posix.dirname(path);
  return folder === '/' || folder === '.' ? [] : [...foldersOf(folder), folder];
}
