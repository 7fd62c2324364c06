import type { Transaction } from '../database/database.ts';
import { all, one, run, type Row, type Work } from '../database/work.ts';
import { StartError } from '../errors.ts';
import { numberIn, textIn, textOrNullIn } from '../sql/rows.ts';
import { fromBase64, toBase64, utf8 } from '../../lib/bytes.ts';
import { type Entry, formatEntry } from '../../record/entry.ts';
import { type Edge, TILE_WIDTH } from '../../record/tile.ts';

/** What was published last: everything up to there is seen by enough witnesses. */
export type Published = {
  readonly size: number;
  /** The cosigned note, or `null` before the first. */
  readonly checkpoint: Uint8Array | null;
};

/** What is on the record and not published yet. */
export type Unpublished = {
  readonly published: Published;
  readonly edge: Edge;
  readonly size: number;
  /** From the beginning of the last partial bundle that was published. */
  readonly entries: readonly Uint8Array[];
  readonly firstIndex: number;
};

/** An entry with its place, as the directory keeps it. */
export type PlacedEntry = {
  readonly index: number;
  readonly entry: Entry;
  /** The envelope that it commits to, as JSON; `null` once erased. */
  readonly envelope: string | null;
};

/** Whose record this database holds: another grid's, directory's or log's is never written on. */
export function* claimRecord(owner: {
  readonly directory: string;
  readonly logKey: string;
}): Work<void> {
  yield* run(
    `INSERT INTO record_head (id, size, directory, log_key) VALUES (1, 0, :directory, :logKey)
     ON CONFLICT DO NOTHING`,
    owner,
  );
  yield* run(
    `INSERT INTO record_published (id, size, edge, checkpoint) VALUES (1, 0, '[]', NULL)
     ON CONFLICT DO NOTHING`,
  );
  const row = yield* one('SELECT directory, log_key FROM record_head');
  if (row?.['directory'] === owner.directory && row['log_key'] === owner.logKey) return;
  throw new StartError(
    'KEYS_OTHER',
    'This database was begun with other keys; name the folder that holds its “keys” and ' +
      '“log.key” with --keys, or another database.',
  );
}

/** How many entries there are. */
export function* sizeOf(): Work<number> {
  return numberIn((yield* one('SELECT size FROM record_head')) ?? {}, 'size');
}

/** Whether there is something that is not published, if only that nothing is on the record. */
export function* isUnpublished(): Work<boolean> {
  const row = yield* one(
    `SELECT 1 AS more FROM record_published p JOIN record_head h ON h.id = p.id
     WHERE p.checkpoint IS NULL OR p.size < h.size`,
  );
  return row !== undefined;
}

/** The last checkpoint that was published. */
export function* publishedHead(): Work<Published> {
  return publishedIn((yield* one('SELECT size, checkpoint FROM record_published')) ?? {});
}

/** All that the next publication needs. */
export function* unpublished(): Work<Unpublished> {
  const row = (yield* one('SELECT size, checkpoint, edge FROM record_published')) ?? {};
  const published = publishedIn(row);
  const levels = (JSON.parse(textIn(row, 'edge')) as string[]).map(
    (text) => fromBase64(text) ?? new Uint8Array(),
  );
  const size = yield* sizeOf();
  const firstIndex = published.size - (published.size % TILE_WIDTH);
  const rows = yield* all(
    `SELECT idx, payload_type, digest, node, seq FROM record_entries
     WHERE idx >= :firstIndex AND idx < :size ORDER BY idx`,
    { firstIndex, size },
  );
  const entries = rows.map((each) => formatEntry(entryIn(each)));
  return { published, edge: { size: published.size, levels }, size, entries, firstIndex };
}

/** The nodes that entries from `from` up to and without `to` are for. */
export function* addresseesOf(from: number, to: number): Work<string[]> {
  const rows = yield* all(
    `SELECT DISTINCT node FROM record_entries
     WHERE idx >= :from AND idx < :to AND node IS NOT NULL`,
    { from, to },
  );
  return rows.map((row) => textIn(row, 'node'));
}

/** Makes a checkpoint the published one, if it is larger, and wakes whoever it brings something. */
export function* publish(
  transaction: Transaction,
  newer: { readonly from: Published; readonly edge: Edge; readonly checkpoint: Uint8Array },
): Work<boolean> {
  const { from, edge, checkpoint } = newer;
  const changed = yield* run(
    `UPDATE record_published SET size = :size, edge = :edge, checkpoint = :checkpoint
     WHERE size = :from`,
    {
      size: edge.size,
      edge: JSON.stringify(edge.levels.map((level) => toBase64(level))),
      checkpoint: Buffer.from(checkpoint).toString('utf8'),
      from: from.size,
    },
  );
  if (changed !== 1) return false;
  for (const node of yield* addresseesOf(from.size, edge.size)) transaction.touch(node);
  return true;
}

/** The first entry that commits to a payload, by its digest. */
export function* entryBy(digest: string): Work<PlacedEntry | undefined> {
  const row = yield* one(
    'SELECT * FROM record_entries WHERE digest = :digest ORDER BY idx LIMIT 1',
    {
      digest,
    },
  );
  if (row === undefined) return undefined;
  return {
    index: numberIn(row, 'idx'),
    entry: entryIn(row),
    envelope: textOrNullIn(row, 'envelope'),
  };
}

/** The entry of a row of them. */
export function entryIn(row: Row): Entry {
  const [payloadType, digest] = [textIn(row, 'payload_type'), textIn(row, 'digest')];
  const node = textOrNullIn(row, 'node');
  return node === null
    ? { payloadType, digest }
    : { payloadType, digest, to: { node, seq: numberIn(row, 'seq') } };
}

function publishedIn(row: Row): Published {
  const text = textOrNullIn(row, 'checkpoint');
  return { size: numberIn(row, 'size'), checkpoint: text === null ? null : utf8(text) };
}
