import { createHash } from 'node:crypto';
import { KiB } from '../../src/lib/units.ts';
import { REUSE_RUNS_MAX, type ReuseRun } from '../../src/artifact/spec.ts';

/** erofs lays everything out in blocks of this size. */
const BLOCK_BYTES = 4 * KiB;
const RUN_BYTES_MIN = 64 * KiB;

/**
 * Which bytes of the second stage's image the first stage's image holds as well. Both carry the
 * same executable, packed in the same way, so most of it lies in both, block for block.
 */
export function findReuse(system: Uint8Array, first: Uint8Array): ReuseRun[] {
  const places = new Map<string, number>();
  for (let at = 0; at + BLOCK_BYTES <= first.length; at += BLOCK_BYTES) {
    const digest = digestAt(first, at);
    if (!places.has(digest)) places.set(digest, at);
  }
  const runs: [number, number, number][] = [];
  for (let at = 0; at + BLOCK_BYTES <= system.length; at += BLOCK_BYTES) {
    const run = runs.at(-1);
    if (run !== undefined && run[0] + run[1] === at) {
      const next = { image: first, at: run[2] + run[1] };
      if (isSame({ image: system, at }, next)) {
        run[1] += BLOCK_BYTES;
        continue;
      }
    }
    const place = places.get(digestAt(system, at));
    if (place !== undefined) runs.push([at, BLOCK_BYTES, place]);
  }
  return runs
    .filter(([, lengthBytes]) => lengthBytes >= RUN_BYTES_MIN)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, REUSE_RUNS_MAX)
    .toSorted(([a], [b]) => a - b);
}

function digestAt(bytes: Uint8Array, at: number): string {
  return createHash('sha256')
    .update(bytes.subarray(at, at + BLOCK_BYTES))
    .digest('base64');
}

type Place = { readonly image: Uint8Array; readonly at: number };

function isSame(a: Place, b: Place): boolean {
  if (b.at + BLOCK_BYTES > b.image.length) return false;
  const [left, right] = [a, b].map(({ image, at }) => image.subarray(at, at + BLOCK_BYTES));
  return Buffer.compare(left ?? new Uint8Array(), right ?? new Uint8Array()) === 0;
}
