import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../../src/lib/errors.ts';
import { concatBytes } from '../../src/lib/bytes.ts';
import {
  consistencyRanges,
  inclusionRanges,
  proveConsistency,
  proveInclusion,
} from '../../src/record/proof.ts';
import {
  decodeBundle,
  type Edge,
  EMPTY_EDGE,
  encodeBundle,
  ENTRY_BYTES_MAX,
  growEdge,
  headOf,
  parseTilePath,
  readTiles,
  type Tile,
  tilePath,
  tilesOf,
  tileWidth,
} from '../../src/record/tile.ts';
import { hashOf, leafHash } from '../../src/record/tree.ts';
import { entries, leaves, plainReader, rootOf } from '../support/record/plain-tree.ts';

function verdict(check: () => unknown): string {
  try {
    check();
    return 'holds';
  } catch (error) {
    return codeOf(error);
  }
}

/** A log's folder of tiles, as its sequencer writes it in batches. */
function logOf(batches: readonly (readonly Uint8Array[])[]): {
  readonly edge: Edge;
  readonly files: ReadonlyMap<string, Uint8Array>;
} {
  const files = new Map<string, Uint8Array>();
  let edge: Edge = EMPTY_EDGE;
  for (const batch of batches) {
    const grown = growEdge(edge, batch);
    edge = grown.edge;
    for (const { tile, bytes } of grown.tiles) files.set(tilePath(tile), bytes);
  }
  return { edge, files };
}

/** In batches of at most 256, as the sequencer gathers them. */
function batchesOf(hashes: readonly Uint8Array[], width = 256): Uint8Array[][] {
  const starts = Array.from({ length: Math.ceil(hashes.length / width) }, (_, at) => at * width);
  return starts.map((start) => hashes.slice(start, start + width));
}

test('tile 1234067 is found at x001/x234/067', () => {
  const full = { level: 0, index: 1_234_067, width: 256 };
  expect(tilePath(full)).toBe('tile/0/x001/x234/067');
  expect(tilePath({ ...full, width: 5 })).toBe('tile/0/x001/x234/067.p/5');
  expect(tilePath({ level: 'entries', index: 0, width: 255 })).toBe('tile/entries/000.p/255');
  expect(tilePath({ level: 2, index: 999, width: 256 })).toBe('tile/2/999');
  expect(tilePath({ level: 63, index: 1000, width: 256 })).toBe('tile/63/x001/000');
});

const anyTile = fc.record({
  level: fc.oneof(fc.integer({ min: 0, max: 63 }), fc.constant('entries' as const)),
  index: fc.maxSafeNat(),
  width: fc.integer({ min: 1, max: 256 }),
});

test('every tile has one path, and the path leads back to it', () => {
  fc.assert(
    fc.property(anyTile, (tile) => {
      expect(parseTilePath(tilePath(tile))).toEqual(tile);
    }),
  );
});

const NO_PATHS = [
  '',
  'tile/0/000/',
  '/tile/0/000',
  'tile/00/000',
  'tile/64/000',
  'tile/-1/000',
  'tile/0/0',
  'tile/0/x000/001',
  'tile/0/001/002',
  'tile/0/x001',
  'tile/0/1234',
  'tile/0/000.p/0',
  'tile/0/000.p/256',
  'tile/0/000.p/01',
  'tile/0/000.p/',
  'tile/0/000.p/5/..',
  'tile/0/../000',
  'tile/0/000\n',
  'tile/entry/000',
  'tile/0/٠٠٠',
  `tile/0/${'x999/'.repeat(6)}999`,
  `tile/0/${'x001/'.repeat(40)}000`,
];

test.each(NO_PATHS)('%j is no path of a tile', (path) => {
  expect(parseTilePath(path)).toBeUndefined();
});

test('the tiles of 70,000 entries are those that the specification counts', () => {
  const size = 70_000;
  expect(tileWidth(0, 272, size)).toBe(256);
  expect(tileWidth(0, 273, size)).toBe(112);
  expect(tileWidth(0, 274, size)).toBe(0);
  expect([tileWidth(1, 0, size), tileWidth(1, 1, size)]).toEqual([256, 17]);
  expect([tileWidth(2, 0, size), tileWidth(3, 0, size)]).toEqual([1, 0]);
  expect(tileWidth('entries', 273, size)).toBe(112);
});

const EDGES: readonly (readonly [number, readonly string[]])[] = [
  [255, ['tile/0/000.p/255']],
  [256, ['tile/0/000', 'tile/1/000.p/1']],
  [257, ['tile/0/001.p/1', 'tile/1/000.p/1']],
  [65_535, ['tile/0/255.p/255', 'tile/1/000.p/255']],
  [65_536, ['tile/0/255', 'tile/1/000', 'tile/2/000.p/1']],
  [65_537, ['tile/0/256.p/1', 'tile/1/000', 'tile/2/000.p/1']],
];

test.each(EDGES)('at %i entries the tree ends in the right tiles', (size, last) => {
  const hashes = leaves(size);
  const { edge, files } = logOf(batchesOf(hashes));
  for (const path of last) expect(files.has(path), `${path} is there`).toBe(true);
  expect(headOf(edge)).toEqual({ size, root: rootOf(hashes) });
  const [tile] = tilesOf([{ start: size - 1, end: size }], size);
  expect(tile).toEqual(parseTilePath(last[0] ?? ''));
  for (const level of [0, 1, 2, 3]) {
    const width = Math.floor(size / 256 ** level) % 256;
    const index = Math.floor(size / 256 ** (level + 1));
    const bytes = files.get(tilePath({ level, index, width }));
    expect(bytes?.length ?? 0, `level ${level}`).toBe(width * 32);
    expect(edge.levels[level]?.length ?? 0, `edge at level ${level}`).toBe(width * 32);
  }
});

const ways = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 });

test('however a tree is appended to, its tiles give the same root and the same proofs', () => {
  fc.assert(
    fc.property(ways, fc.nat(), (widths, pick) => {
      const size = widths.reduce((sum, width) => sum + width, 0);
      const hashes = leaves(size);
      let at = 0;
      const batches = widths.map((width) => hashes.slice(at, (at += width)));
      const { edge, files } = logOf(batches);
      expect(edge).toEqual(logOf([hashes]).edge);
      expect(headOf(edge).root).toEqual(rootOf(hashes));
      const plain = plainReader(hashes);
      const index = pick % size;
      const ranges = [...inclusionRanges(index, size), ...consistencyRanges(index + 1, size)];
      const wanted = new Set(tilesOf(ranges, size).map((tile) => tilePath(tile)));
      const read = readTiles(size, (tile) => {
        expect(wanted).toContain(tilePath(tile));
        return files.get(tilePath(tile));
      });
      expect(proveInclusion(index, size, read)).toEqual(proveInclusion(index, size, plain));
      const grown = proveConsistency(index + 1, size, read);
      expect(grown).toEqual(proveConsistency(index + 1, size, plain));
    }),
    { numRuns: 40 },
  );
});

test('a full tile may stand for a partial one, and nothing else may', () => {
  const { files } = logOf([leaves(300)]);
  const full = files.get('tile/0/000') ?? new Uint8Array();
  const read = (bytes: Uint8Array | undefined): Uint8Array =>
    hashOf(
      { start: 0, end: 100 },
      readTiles(100, () => bytes),
    );
  expect(read(full)).toEqual(rootOf(leaves(100)));
  expect(read(full.subarray(0, 3200))).toEqual(rootOf(leaves(100)));
  expect(verdict(() => read(undefined))).toBe('TILE_MISSING');
  // The full tile knows more than the tree of 100 entries has.
  const beyond = { height: 7, index: 0 };
  expect(verdict(() => readTiles(100, () => full)(beyond))).toBe('TILE_MALFORMED');
  for (const length of [0, 3199, 3201, 3232, 8191]) {
    expect(
      verdict(() => read(full.subarray(0, length))),
      `${length}`,
    ).toBe('TILE_MALFORMED');
  }
});

const anyEntries = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 40 });

test('a bundle gives back its entries, and no bundle cut, grown or counted wrongly does', () => {
  fc.assert(
    fc.property(anyEntries, fc.nat(), (all, cut) => {
      const bytes = encodeBundle(all);
      expect(decodeBundle(bytes, all.length)).toEqual(all);
      const bad: readonly (readonly [Uint8Array, number])[] = [
        [bytes, all.length + 1],
        [concatBytes(bytes, Uint8Array.of(0)), all.length],
        ...(all.length > 0
          ? ([
              [bytes, all.length - 1],
              [bytes.subarray(0, cut % bytes.length), all.length],
            ] as const)
          : []),
      ];
      for (const [other, width] of bad) {
        expect(verdict(() => decodeBundle(other, width))).toBe('TILE_MALFORMED');
      }
    }),
  );
});

test('a bundle is entries after their lengths in 16 bits, and hashes to the tile beside it', () => {
  expect([...encodeBundle([Uint8Array.of(7, 8), new Uint8Array()])]).toEqual([0, 2, 7, 8, 0, 0]);
  const longest = new Uint8Array(ENTRY_BYTES_MAX).fill(1);
  expect(decodeBundle(encodeBundle([longest]), 1)).toEqual([longest]);
  const tooLong = new Uint8Array(ENTRY_BYTES_MAX + 1);
  expect(verdict(() => encodeBundle([tooLong]))).toBe('ENTRY_TOO_LONG');
  const { files } = logOf([leaves(3)]);
  const hashes = decodeBundle(encodeBundle(entries(3)), 3).map((entry) => leafHash(entry));
  expect(files.get(tilePath({ level: 0, index: 0, width: 3 } satisfies Tile))).toEqual(
    concatBytes(...hashes),
  );
});
