import type { Wants } from '../../contract/wants.ts';
import { textOf, toBase64 } from '../../lib/bytes.ts';
import { type Entry, formatEntry } from '../../record/entry.ts';
import { formatTlogProof, type TlogProof } from '../../record/tlog-proof.ts';
import type { Published } from './head.ts';
import {
  proveConsistency,
  proveInclusion,
  consistencyRanges,
  inclusionRanges,
} from '../../record/proof.ts';
import {
  readTiles,
  type Tile,
  TILE_WIDTH,
  tilePath,
  tilesOf,
  tileWidth,
} from '../../record/tile.ts';
import { HASH_BYTES, type Range } from '../../record/tree.ts';
import type { TileStore } from './tiles.ts';

/** Of 8 KiB each. */
const TILES_KEPT_MAX = 1024;

/** Proofs over the tree that the tiles hold; throws `RecordError` when a tile is missing. */
export type Prover = {
  readonly inclusion: (index: number, size: number) => Promise<Uint8Array[]>;
  /**
   * No hashes from nothing or to the same size, which need no proof. Where `size` is not the one
   * that was published, `published` says of what size there are tiles.
   */
  readonly growth: (from: number, size: number, published?: number) => Promise<Uint8Array[]>;
};

/** Reads tiles as proofs need them, and keeps the full ones at hand: they never change. */
export function openProver(tiles: Pick<TileStore, 'read'>): Prover {
  const kept = makeKept<Uint8Array>(TILES_KEPT_MAX);
  const fetchTile = async (tile: Tile): Promise<Uint8Array | undefined> => {
    const full = { ...tile, width: TILE_WIDTH };
    const known = kept.get(tilePath(full));
    if (known !== undefined) return known;
    const bytes = tile.width === TILE_WIDTH ? undefined : await tiles.read(tile);
    if (bytes !== undefined) return bytes;
    // It is full by now, and its partial forms are gone.
    const found = await tiles.read(full);
    if (found !== undefined) kept.set(tilePath(full), found);
    return found;
  };
  const readerOf = async (ranges: readonly Range[], size: number, published: number) => {
    const wanted = tilesOf(ranges, size);
    const bytes = await Promise.all(
      wanted.map(async (tile) => {
        const width = tileWidth(tile.level, tile.index, published);
        // The hashes of an earlier size are the first of those of a later one.
        return (await fetchTile({ ...tile, width }))?.subarray(0, tile.width * HASH_BYTES);
      }),
    );
    const found = new Map(wanted.map((tile, at) => [tilePath(tile), bytes[at]]));
    return readTiles(size, (tile) => found.get(tilePath(tile)));
  };
  return {
    inclusion: async (index, size) =>
      proveInclusion(index, size, await readerOf(inclusionRanges(index, size), size, size)),
    growth: async (from, size, published = size) => {
      if (from === 0 || from === size) return [];
      const read = await readerOf(consistencyRanges(from, size), size, published);
      return proveConsistency(from, size, read);
    },
  };
}

export type Kept<T> = {
  readonly get: (key: string) => T | undefined;
  readonly set: (key: string, value: T) => void;
};

/** The most recently used, so many of them. */
export function makeKept<T>(countMax: number): Kept<T> {
  const entries = new Map<string, T>();
  return {
    get: (key) => {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set: (key, value) => {
      entries.delete(key);
      entries.set(key, value);
      const [oldest] = entries.keys();
      if (entries.size > countMax && oldest !== undefined) entries.delete(oldest);
    },
  };
}

/** Where an entry for a node stands: its number there, and its index on the record. */
export type Place = { readonly seq: number; readonly index: number };

/** What a node shall have, as one moment of the books shows it, with places in place of proofs. */
export type PlacedWants = Omit<Wants, 'contracts' | 'cancellations' | 'passed'> & {
  readonly published: Published;
  readonly contracts: readonly (Wants['contracts'][number] & Place)[];
  readonly cancellations: readonly (Wants['cancellations'][number] & Place)[];
  readonly passed: readonly { readonly entry: Entry; readonly index: number }[];
};

type Prove = (index: number, published: Published) => Promise<TlogProof>;

/** The same with the proof of each place; a cancellation may be so new that it has none yet. */
export async function proveWants(placed: PlacedWants, prove: Prove): Promise<Wants> {
  const { published, contracts, cancellations, passed, ...rest } = placed;
  const proofOf = async (index: number): Promise<string> =>
    toBase64(formatTlogProof(await prove(index, published)));
  return {
    ...rest,
    contracts: await Promise.all(
      contracts.map(async ({ index, ...each }) => ({ ...each, proof: await proofOf(index) })),
    ),
    cancellations: await Promise.all(
      cancellations.map(async ({ index, ...each }) => ({
        ...each,
        proof: index < published.size ? await proofOf(index) : null,
      })),
    ),
    passed: await Promise.all(
      passed.map(async ({ entry, index }) => ({
        entry: textOf(formatEntry(entry)),
        proof: await proofOf(index),
      })),
    ),
  };
}
