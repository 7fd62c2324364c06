import { concatBytes } from '../lib/bytes.ts';
import {
  HASH_BYTES,
  hashOf,
  nodeHash,
  type Range,
  type ReadSubtree,
  RecordError,
  requireSize,
  subtreesOf,
  type TreeHead,
} from './tree.ts';

/** A full tile is a subtree of height 8: 256 hashes, 8,192 bytes (c2sp.org/tlog-tiles). */
export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 256;

/** An entry's length travels in 16 bits. */
export const ENTRY_BYTES_MAX = 65_535;

const LEVEL_MAX = 63;
const PATH_LENGTH_MAX = 100;

/** Hashes side by side at one level: `width` of them, fewer than 256 at the tree's right edge. */
export type Tile = {
  /** 0 holds leaf hashes; each hash of a level above is a full tile below. `entries` holds them. */
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
};

/** Where a tile or bundle of entries is served, below the log's prefix: `tile/0/x001/x234/067`. */
export function tilePath({ level, index, width }: Tile): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const parts = padded.match(/\d{3}/g) ?? [];
  const folders = parts.map((part, at) => (at + 1 < parts.length ? `x${part}` : part));
  const partial = width < TILE_WIDTH ? `.p/${width}` : '';
  return `tile/${level}/${folders.join('/')}${partial}`;
}

/** The tile of a path as somebody asks for it, or `undefined`: one tile has one path. */
export function parseTilePath(path: string): Tile | undefined {
  if (path.length > PATH_LENGTH_MAX) return undefined;
  const found = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  const [, level = '', folders = '', width = String(TILE_WIDTH)] = found ?? [];
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    index: Number(folders.replaceAll(/[x/]/g, '')),
    width: Number(width),
  };
  const isBounded = Number.isSafeInteger(tile.index) && tile.width >= 1 && tile.width <= TILE_WIDTH;
  const isLevel = tile.level === 'entries' || tile.level <= LEVEL_MAX;
  // What would be written in another way (leading zeros, a full tile as a partial one) is no path.
  return found !== null && isBounded && isLevel && tilePath(tile) === path ? tile : undefined;
}

/** How many hashes of a tile a tree of `size` has: 256 when it is full, 0 when there is none. */
export function tileWidth(level: number | 'entries', index: number, size: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level));
  return Math.min(TILE_WIDTH, Math.max(0, hashes - index * TILE_WIDTH));
}

/** The tiles of a tree of `size` in which the hashes over these ranges are found, none twice. */
export function tilesOf(ranges: readonly Range[], size: number): Tile[] {
  requireSize(size);
  const tiles = new Map<string, Tile>();
  for (const subtree of ranges.flatMap((range) => subtreesOf(range))) {
    const { level, index } = placeOf(subtree);
    const tile = { level, index, width: tileWidth(level, index, size) };
    tiles.set(tilePath(tile), tile);
  }
  return [...tiles.values()];
}

/**
 * Reads the hashes of subtrees out of the tiles of a tree of `size`. A full tile may stand where a
 * partial one is asked for. Nothing is checked here but lengths: whoever fetched the tiles from
 * another has to check what they lead to. Throws `RecordError`.
 */
export function readTiles(
  size: number,
  bytesOf: (tile: Tile) => Uint8Array | undefined,
): ReadSubtree {
  return (subtree) => {
    const { level, index, start, width } = placeOf(subtree);
    const tile = { level, index, width: tileWidth(level, index, size) };
    const bytes = bytesOf(tile);
    if (bytes === undefined) {
      const sentence = `The tile ${tilePath(tile)} is needed and not there; fetch it.`;
      throw new RecordError('TILE_MISSING', sentence);
    }
    const isFull = bytes.length === TILE_WIDTH * HASH_BYTES;
    if ((!isFull && bytes.length !== tile.width * HASH_BYTES) || start + width > tile.width) {
      const sentence = `The tile ${tilePath(tile)} has ${bytes.length} bytes; fetch it again.`;
      throw new RecordError('TILE_MALFORMED', sentence);
    }
    return rowHash(bytes, start, width);
  };
}

/** The right edge of a tree: all that is needed to append to it. */
export type Edge = {
  readonly size: number;
  /** By level, the hashes of the partial tile there; empty where the last tile is full. */
  readonly levels: readonly Uint8Array[];
};

export const EMPTY_EDGE: Edge = { size: 0, levels: [] };

export type WrittenTile = { readonly tile: Tile; readonly bytes: Uint8Array };

/** The edge after these leaves, and every tile that has to be written so that it can be served. */
export function growEdge(
  edge: Edge,
  leafHashes: readonly Uint8Array[],
): { readonly edge: Edge; readonly tiles: readonly WrittenTile[] } {
  const size = edge.size + leafHashes.length;
  requireSize(size);
  const levels = [...edge.levels];
  const tiles: WrittenTile[] = [];
  let added = concatBytes(...leafHashes);
  for (let level = 0; added.length > 0; level += 1) {
    const row = concatBytes(levels[level] ?? new Uint8Array(), added);
    const above: Uint8Array[] = [];
    let index = Math.floor(edge.size / TILE_WIDTH ** (level + 1));
    let at = 0;
    for (; at + TILE_WIDTH * HASH_BYTES <= row.length; at += TILE_WIDTH * HASH_BYTES) {
      const bytes = row.subarray(at, at + TILE_WIDTH * HASH_BYTES);
      tiles.push({ tile: { level, index, width: TILE_WIDTH }, bytes });
      above.push(rowHash(bytes, 0, TILE_WIDTH));
      index += 1;
    }
    const rest = row.slice(at);
    const width = rest.length / HASH_BYTES;
    if (width > 0) tiles.push({ tile: { level, index, width }, bytes: rest });
    levels[level] = rest;
    added = concatBytes(...above);
  }
  return { edge: { size, levels }, tiles };
}

/** The head of the tree that an edge belongs to. */
export function headOf({ size, levels }: Edge): TreeHead {
  const read = readTiles(size, ({ level }) => (level === 'entries' ? undefined : levels[level]));
  return { size, root: hashOf({ start: 0, end: size }, read) };
}

/** Entries as they are served: each after its length in 16 bits; bundles may be put end to end. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    if (entry.length > ENTRY_BYTES_MAX) {
      const sentence = `An entry has at most ${ENTRY_BYTES_MAX} bytes, not ${entry.length}.`;
      throw new RecordError('ENTRY_TOO_LONG', sentence);
    }
    return [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry];
  });
  return concatBytes(...parts);
}

/** The `width` entries of a bundle, no more and no less; throws `RecordError`. */
export function decodeBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  for (; entries.length < width && at + 2 <= bytes.length;) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    at += 2 + length;
    entries.push(bytes.slice(at - length, at));
  }
  if (entries.length === width && at === bytes.length) return entries;
  const sentence = `The bundle does not hold ${width} entries exactly; fetch it again.`;
  throw new RecordError('TILE_MALFORMED', sentence);
}

/** The tile that holds a subtree, and which of its hashes are that subtree's. */
function placeOf({ height, index }: { readonly height: number; readonly index: number }): {
  readonly level: number;
  readonly index: number;
  readonly start: number;
  readonly width: number;
} {
  const level = Math.floor(height / TILE_HEIGHT);
  const width = 2 ** (height % TILE_HEIGHT);
  const first = index * width;
  const tile = Math.floor(first / TILE_WIDTH);
  return { level, index: tile, start: first - tile * TILE_WIDTH, width };
}

/** The root over `width` hashes of a tile from `start` on; the width is a power of two. */
function rowHash(bytes: Uint8Array, start: number, width: number): Uint8Array {
  let row: Uint8Array[] = Array.from({ length: width }, (_, at) =>
    bytes.slice((start + at) * HASH_BYTES, (start + at + 1) * HASH_BYTES),
  );
  while (row.length > 1) {
    const pairs = Array.from({ length: row.length / 2 }, (_, at) => at * 2);
    row = pairs.map((at) => nodeHash(row[at] ?? EMPTY, row[at + 1] ?? EMPTY));
  }
  return row[0] ?? EMPTY;
}

const EMPTY = new Uint8Array();
