import { randomInt } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { KiB } from '../lib/units.ts';
import type { DiskClass } from './plan.ts';

const READS = 24;
const READ_BYTES = 4 * KiB;
/** An arm takes 4 to 12 ms to the next place; flash memory is everywhere at once. */
const ARM_MS = 2.5;

export type Speed = {
  readonly class: DiskClass;
  /** How much longer a read at a place that nobody expected takes than one right behind it. */
  readonly armMs: number;
};

/**
 * What kind of disk it is, by whether something in it has to move: a read at a place chosen by
 * chance is compared with one right behind it, so that a slow machine or line makes both slower and
 * decides nothing. Of each the quickest quarter counts, as a busy machine makes some of them late.
 */
export async function measureSpeed(
  path: string,
  lengthBytes: number,
  steady: () => number,
): Promise<Speed> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const pages = Math.max(1, Math.floor(lengthBytes / READ_BYTES) - 1);
  const far: number[] = [];
  const near: number[] = [];
  for (let count = 0; count < READS; count += 1) {
    const page = randomInt(pages);
    far.push(await readMs(file, page, steady));
    near.push(await readMs(file, page + 1, steady));
  }
  const armMs = Math.max(0, quickest(far) - quickest(near));
  return { class: armMs >= ARM_MS ? 'hdd' : 'ssd', armMs: Math.round(armMs * 1000) / 1000 };
}

async function readMs(file: FileHandle, page: number, steady: () => number): Promise<number> {
  const buffer = Buffer.alloc(READ_BYTES);
  const startedMs = steady();
  await file.read(buffer, 0, READ_BYTES, page * READ_BYTES);
  return steady() - startedMs;
}

function quickest(tookMs: readonly number[]): number {
  return tookMs.toSorted((a, b) => a - b)[READS / 4] ?? 0;
}
