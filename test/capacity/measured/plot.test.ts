import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BLOCK_BYTES,
  type Claim,
  fillPlot,
  isPlotOpening,
  type Opening,
  type Plot,
  type Space,
} from '../../../src/capacity/measured/plot.ts';

const challenge = new Uint8Array(32).fill(7);
const seed = new Uint8Array(32).fill(9);

function memory(count: number): Space {
  const bytes = new Uint8Array(count * BLOCK_BYTES);
  return {
    write: (index, block) => bytes.set(block, index * BLOCK_BYTES),
    read: (index) => bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
  };
}

function fill(count: number, space = memory(count)): Plot {
  const filling = fillPlot(challenge, count, space);
  for (;;) {
    const step = filling.next();
    if (step.done === true) return step.value;
  }
}

const COUNT = 1024;
const plot = fill(COUNT);
const claim: Claim = { challenge, count: COUNT, root: plot.root, seed };
const opening = plot.open(seed);

test.each([2, 4, 16, 32, 4096])(
  'a plot of %i blocks opens at whatever places are picked',
  (count) => {
    const made = fill(count);
    for (let turn = 0; turn < 5; turn += 1) {
      const picked = new Uint8Array(randomBytes(32));
      const shown = made.open(picked);
      expect(isPlotOpening({ challenge, count, root: made.root, seed: picked }, shown)).toBe(true);
    }
  },
);

test('an opening is for its challenge, size, root and places, and for no others', () => {
  expect(isPlotOpening(claim, opening)).toBe(true);
  const other = new Uint8Array(32);
  expect(isPlotOpening({ ...claim, challenge: other }, opening)).toBe(false);
  expect(isPlotOpening({ ...claim, count: 2 * COUNT }, opening)).toBe(false);
  expect(isPlotOpening({ ...claim, count: COUNT / 2 }, opening)).toBe(false);
  expect(isPlotOpening({ ...claim, root: other }, opening)).toBe(false);
  expect(isPlotOpening({ ...claim, seed: other }, opening)).toBe(false);
});

test('one changed bit anywhere, a block or a hash more or less: no opening', () => {
  const { blocks, hashes } = opening;
  const changed = (bytes: Uint8Array, at: number): Uint8Array => {
    const copy = bytes.slice();
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  fc.assert(
    fc.property(fc.nat(hashes.length - 1), (at) => {
      expect(isPlotOpening(claim, { blocks, hashes: changed(hashes, at) })).toBe(false);
    }),
  );
  fc.assert(
    fc.property(fc.nat(blocks.length - 1), fc.nat(BLOCK_BYTES - 1), (which, at) => {
      const lied = blocks.map((block, index) => (index === which ? changed(block, at) : block));
      expect(isPlotOpening(claim, { blocks: lied, hashes })).toBe(false);
    }),
  );
  const bad: Opening[] = [
    { blocks: blocks.slice(1), hashes },
    { blocks: [...blocks, blocks[0] ?? new Uint8Array()], hashes },
    { blocks: blocks.map((block) => block.subarray(1)), hashes },
    { blocks, hashes: hashes.subarray(32) },
    { blocks, hashes: hashes.subarray(0, -32) },
    { blocks, hashes: hashes.subarray(0, -1) },
    { blocks, hashes: new Uint8Array([...hashes, ...new Uint8Array(32)]) },
    { blocks: [], hashes: new Uint8Array() },
  ];
  for (const each of bad) expect(isPlotOpening(claim, each)).toBe(false);
});

test('who keeps half of the blocks and makes up the rest is caught', () => {
  const kept = memory(COUNT);
  // Every other block is never written: what is read there are zeros.
  const half: Space = {
    read: kept.read,
    write: (index, block) => {
      if (index % 2 === 0) kept.write(index, block);
    },
  };
  const cheap = fill(COUNT, half);
  let caught = 0;
  for (let turn = 0; turn < 50; turn += 1) {
    const picked = new Uint8Array(randomBytes(32));
    const shown = cheap.open(picked);
    const said = { challenge, count: COUNT, root: cheap.root, seed: picked };
    if (!isPlotOpening(said, shown)) caught += 1;
  }
  expect(caught).toBeGreaterThanOrEqual(49);
});
