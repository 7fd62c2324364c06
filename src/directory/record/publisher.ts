import type { Log } from '../../host/log.ts';
import { isSameBytes } from '../../lib/bytes.ts';
import { parseCheckpoint, signCheckpoint } from '../../record/checkpoint.ts';
import { noteKeyOf, type NoteSigner, parseNote, verifyNote } from '../../record/note.ts';
import {
  type Edge,
  encodeBundle,
  growEdge,
  headOf,
  TILE_WIDTH,
  type WrittenTile,
} from '../../record/tile.ts';
import { HASH_BYTES, leafHash, RecordError, type TreeHead } from '../../record/tree.ts';
import type { Database } from '../database/database.ts';
import type { Cosigners } from './cosigners.ts';
import { isUnpublished, publish, type Unpublished, unpublished } from './head.ts';
import type { TileStore } from './tiles.ts';

export type PublisherParts = {
  readonly database: Pick<Database, 'read' | 'write'>;
  readonly tiles: TileStore;
  readonly signer: NoteSigner;
  readonly cosigners: Pick<Cosigners, 'collect'>;
  /** Each step is told before it is taken: what is durable by then is all that a crash leaves. */
  readonly log: Pick<Log, 'debug'>;
};

/**
 * Makes everything that is on the record by now public: tiles, a signed head, cosignatures until
 * they are enough, and only then the checkpoint, which only ever grows. Killed anywhere in this and
 * started again it does the same again, for entries and their order are in the database, and two
 * signatures over one head are one. Says whether there was something to publish.
 */
export async function publishOnce(parts: PublisherParts, signal: AbortSignal): Promise<boolean> {
  const { database, tiles, signer, cosigners, log } = parts;
  if (!(await database.read(isUnpublished()))) return false;
  const work = await database.read(unpublished());
  const { published, size } = work;
  log.debug({ size }, 'record tiles');
  const { edge, written } = tilesFor(work);
  await tiles.write(written);
  const head = headOf(edge);
  log.debug({ size }, 'record sign');
  const signed = signCheckpoint(head, signer);
  log.debug({ size }, 'record cosign');
  const checkpoint = await cosigners.collect({ size, checkpoint: signed }, signal);
  log.debug({ size }, 'record publish');
  const isPublished = await database.write((transaction) =>
    publish(transaction, { from: published, edge, checkpoint }),
  );
  if (isPublished) await tiles.publish(checkpoint);
  log.debug({ size }, 'record published');
  return true;
}

/**
 * Makes sure that what was published is what the database still holds, and that its tiles are
 * there: the partial ones are not flushed when they are written. Throws `RecordError`.
 */
export async function mendTiles(parts: PublisherParts): Promise<void> {
  const work = await parts.database.read(unpublished());
  await refuseNewerTiles(parts, work.size);
  const { published, edge, firstIndex, entries } = work;
  if (published.checkpoint === null) return;
  const { head } = parseCheckpoint(parseNote(published.checkpoint).text);
  requireSame(headOf(edge), head);
  const bundle = entries.slice(0, published.size - firstIndex);
  await parts.tiles.write([...partialTiles(edge), ...bundlesOf(bundle, firstIndex)]);
  await parts.tiles.publish(published.checkpoint);
}

/** Tiles outlive a database that was restored from an old backup, where they are kept apart. */
async function refuseNewerTiles({ tiles, signer }: PublisherParts, size: number): Promise<void> {
  const checkpoint = await tiles.published();
  if (checkpoint === undefined) return;
  const note = parseNote(checkpoint);
  verifyNote(note, [noteKeyOf(signer.name, 'ed25519', signer.publicKey)]);
  const { head } = parseCheckpoint(note.text);
  if (head.size <= size) return;
  const sentence = `The tiles are of ${head.size} entries and the database has ${size}.`;
  throw new RecordError('HEAD_STALE', sentence, { facts: { sizeSeen: head.size } });
}

function requireSame(kept: TreeHead, published: TreeHead): void {
  if (kept.size === published.size && isSameBytes(kept.root, published.root)) return;
  const sentence = 'The database’s tree is not the one that was published; restore a good copy.';
  throw new RecordError('HEAD_FORKED', sentence);
}

/** The edge after all entries, and every tile and bundle that a reader of it needs. */
function tilesFor({ edge: before, entries, firstIndex }: Unpublished): {
  readonly edge: Edge;
  readonly written: readonly WrittenTile[];
} {
  const fresh = entries.slice(before.size - firstIndex);
  const { edge, tiles } = growEdge(
    before,
    fresh.map((entry) => leafHash(entry)),
  );
  return { edge, written: [...tiles, ...bundlesOf(entries, firstIndex)] };
}

/** Bundles from the one that `firstIndex` begins. */
function bundlesOf(entries: readonly Uint8Array[], firstIndex: number): WrittenTile[] {
  return Array.from({ length: Math.ceil(entries.length / TILE_WIDTH) }, (_, at) => {
    const held = entries.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH);
    const index = firstIndex / TILE_WIDTH + at;
    return {
      tile: { level: 'entries' as const, index, width: held.length },
      bytes: encodeBundle(held),
    };
  });
}

function partialTiles({ size, levels }: Edge): WrittenTile[] {
  return levels.flatMap((bytes, level) => {
    if (bytes.length === 0) return [];
    const index = Math.floor(size / TILE_WIDTH ** (level + 1));
    return [{ tile: { level, index, width: bytes.length / HASH_BYTES }, bytes }];
  });
}
