import { stat } from 'node:fs/promises';
import { KiB, MiB } from '../../src/lib/units.ts';
import type { FatFile } from '../../src/host/media/fat.ts';

/** FAT32 has at least 65525 clusters of 2 KiB; folders and its own tables come on top. */
const FAT_BYTES_MIN = 140 * MiB;
const SPARE_BYTES = 4 * MiB;

/** The length of a FAT32 that has room for these files. */
export async function fatBytesFor(files: readonly FatFile[]): Promise<number> {
  const sizes = await Promise.all(files.map(async ({ from }) => (await stat(from)).size));
  const bytes = sizes.reduce((sum, size) => sum + Math.ceil(size / (4 * KiB)) * 4 * KiB, 0);
  const wanted = Math.ceil((bytes * 1.01 + SPARE_BYTES) / MiB) * MiB;
  return Math.max(wanted, FAT_BYTES_MIN);
}
