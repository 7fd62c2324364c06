import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeDurably } from '../../host/files.ts';
import { isSameBytes } from '../../lib/bytes.ts';
import { type Tile, TILE_WIDTH, tilePath, type WrittenTile } from '../../record/tile.ts';
import { RecordError } from '../../record/tree.ts';

/**
 * Where the record's tiles are: static files that anybody may serve or copy, for they never change.
 * Whoever can write them can break proofs, which then fail to check; they can't forge one.
 */
export type TileStore = {
  /** `undefined` when there is no such tile. */
  readonly read: (tile: Tile) => Promise<Uint8Array | undefined>;
  /**
   * Keeps tiles; full ones are durable when it returns, partial ones are made again at a start.
   * Throws `RecordError` `HEAD_FORKED` when another history has a tile of that place already.
   */
  readonly write: (tiles: readonly WrittenTile[]) => Promise<void>;
  /** Puts the published checkpoint beside the tiles, so that the folder alone is a whole log. */
  readonly publish: (checkpoint: Uint8Array) => Promise<void>;
  /** The checkpoint beside the tiles, if there is one. */
  readonly published: () => Promise<Uint8Array | undefined>;
};

/** Tiles in a folder, by the paths that they are served under. */
export function openTileFolder(folder: string): TileStore {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return new Uint8Array(await readFile(join(folder, path)));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  };
  const write = async ({ tile, bytes }: WrittenTile): Promise<void> => {
    const path = tilePath(tile);
    const before = await read(path);
    // What a power cut left of a file is shorter, and no other history.
    if (before?.length === bytes.length) {
      refuseOther(tile, before, bytes);
      return;
    }
    const place = join(folder, path);
    if (tile.width < TILE_WIDTH) return replace(place, bytes);
    await mkdir(dirname(place), { recursive: true });
    await writeDurably({ path: place, bytes, mode: 0o644 });
    // Its partial forms have served: who asks for one takes the full tile (c2sp.org/tlog-tiles).
    await rm(`${place}.p`, { recursive: true, force: true });
  };
  return {
    read: async (tile) => read(tilePath(tile)),
    write: async (tiles) => {
      await Promise.all(tiles.map(async (tile) => write(tile)));
    },
    published: async () => read('checkpoint'),
    publish: async (checkpoint) => replace(join(folder, 'checkpoint'), checkpoint),
  };
}

/** Whole or not at all for whoever reads it, and not flushed: a start makes it again. */
async function replace(place: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  await writeFile(`${place}.part`, bytes);
  await rename(`${place}.part`, place);
}

/** A place of the record has one content for ever. */
export function refuseOther(tile: Tile, before: Uint8Array, bytes: Uint8Array): void {
  if (isSameBytes(before, bytes)) return;
  throw new RecordError(
    'HEAD_FORKED',
    `The tile ${tilePath(tile)} holds another history; restore the database that belongs to it.`,
  );
}
