import type { Envelope } from '../../identity/envelope.ts';
import { fromBase64, sha256Hex } from '../../lib/bytes.ts';
import type { NewEntry } from '../database/database.ts';
import { numberIn } from '../sql/rows.ts';
import { one, run, type Statement, together, type Values, type Work } from '../database/work.ts';
import { RefusedError } from '../errors.ts';

/** What may wait for its witnesses; more is refused, for all of it is published as one. */
const UNPUBLISHED_ENTRIES_MAX = 100_000;

/** How many rows one statement inserts: few texts, so that each stays prepared. */
const ROWS_AT_ONCE = [64, 8, 1];

/** What puts an envelope on the record, for one node where it is addressed to one. */
export function recordOf(envelope: Envelope, node: string | null = null): NewEntry {
  const payload = fromBase64(envelope.payload) ?? new Uint8Array();
  const { payloadType } = envelope;
  return { payloadType, digest: sha256Hex(payload), node, envelope: JSON.stringify(envelope) };
}

/**
 * Puts entries at the record's end, in the transaction of what they record. The head moves only
 * from where it was read, so that two sequencers can never give one place to two entries; each
 * node's own entries are numbered 1, 2, 3 without a gap. What is on the record stays there once.
 */
export function* appendEntries(entries: readonly NewEntry[]): Work<void> {
  const fresh = yield* freshOf(entries);
  if (fresh.length === 0) return;
  const head = yield* one(
    `SELECT h.size, p.size AS published FROM record_head h JOIN record_published p ON p.id = h.id`,
  );
  const from = numberIn(head ?? {}, 'size');
  const size = from + fresh.length;
  if (size - numberIn(head ?? {}, 'published') > UNPUBLISHED_ENTRIES_MAX) {
    const sentence = 'Too much waits for the record’s witnesses; try again when they are back.';
    throw new RefusedError('RECORD_UNSEEN', sentence);
  }
  const moved = yield* run('UPDATE record_head SET size = :size WHERE size = :from', {
    size,
    from,
  });
  if (moved !== 1) {
    const sentence = 'Another sequencer was faster, so this did not happen; send it again.';
    throw new RefusedError('STORE_FAILED', sentence);
  }
  yield* insertRows(yield* numberedRows(fresh, from));
}

/** Each entry once, without those that stand on the record already. */
function* freshOf(entries: readonly NewEntry[]): Work<NewEntry[]> {
  const byName = new Map(entries.map((entry) => [`${entry.payloadType} ${entry.digest}`, entry]));
  const once = [...byName.values()];
  const found = yield* together(
    ...once.map(({ payloadType, digest }) => ({
      text: `SELECT 1 AS here FROM record_entries
             WHERE digest = :digest AND payload_type = :payloadType`,
      values: { digest, payloadType },
    })),
  );
  return once.filter((_, at) => found[at]?.rows.length === 0);
}

type EntryRow = NewEntry & { readonly index: number; readonly seq: number | null };

function* numberedRows(entries: readonly NewEntry[], from: number): Work<EntryRow[]> {
  const nodes = entries.map(({ node }) => node).filter((node) => node !== null);
  const counts = new Map<string, number>();
  for (const node of nodes) counts.set(node, (counts.get(node) ?? 0) + 1);
  const moved = yield* together(
    ...[...counts].map(([node, count]) => ({
      text: `UPDATE nodes SET record_seq = record_seq + :count WHERE id = :node
             RETURNING record_seq`,
      values: { node, count },
    })),
  );
  const seqs = new Map(
    [...counts].map(([node, count], at) => [
      node,
      numberIn(moved[at]?.rows[0] ?? {}, 'record_seq') - count,
    ]),
  );
  return entries.map((entry, at) => {
    if (entry.node === null) return { ...entry, index: from + at, seq: null };
    const seq = (seqs.get(entry.node) ?? 0) + 1;
    seqs.set(entry.node, seq);
    return { ...entry, index: from + at, seq };
  });
}

function* insertRows(rows: readonly EntryRow[]): Work<void> {
  const statements: Statement[] = [];
  for (let at = 0; at < rows.length;) {
    const count = ROWS_AT_ONCE.find((each) => each <= rows.length - at) ?? 1;
    statements.push(insertOf(rows.slice(at, at + count)));
    at += count;
  }
  yield* together(...statements);
}

function insertOf(rows: readonly EntryRow[]): Statement {
  const values: Record<string, Values[string]> = {};
  const tuples = rows.map((row, at) => {
    values[`i${at}`] = row.index;
    values[`t${at}`] = row.payloadType;
    values[`d${at}`] = row.digest;
    values[`n${at}`] = row.node;
    values[`s${at}`] = row.seq;
    values[`e${at}`] = row.envelope;
    return `(:i${at}, :t${at}, :d${at}, :n${at}, :s${at}, :e${at})`;
  });
  return {
    text: `INSERT INTO record_entries (idx, payload_type, digest, node, seq, envelope)
           VALUES ${tuples.join(', ')}`,
    values,
  };
}
