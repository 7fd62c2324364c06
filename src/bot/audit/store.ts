import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { concatBytes } from '../../lib/bytes.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { Entry } from '../../record/entry.ts';
import { type Edge, EMPTY_EDGE } from '../../record/tile.ts';
import { HASH_BYTES } from '../../record/tree.ts';
import type { Holding } from '../../phonebook/name.ts';
import { BotError } from '../errors.ts';
import type { Book, KnownIdentity, OpenBook } from './book.ts';

/** What does not hold on the record; it stays until the record is whole again. */
export type Fault = { readonly index: number; readonly code: string; readonly sentence: string };

/** What a node had to have seen by the time of its next heartbeat. */
export type Due = {
  /** Of the heartbeat that was compared last. */
  readonly atMs: number;
  /** What the node had seen then, and the highest number within the head that it saw. */
  readonly seq: number;
  readonly dueSeq: number;
  readonly isWithheld: boolean;
};

/** What was read up to here and held; all of it is kept at once, or nothing. */
export type Progress = {
  readonly edge: Edge;
  readonly entries: readonly { readonly index: number; readonly entry: Entry }[];
  readonly faults: readonly Fault[];
  /** What the entries say of people and names. */
  readonly book: OpenBook;
  /** The time of the checkpoint that all of it was read up to. */
  readonly seenMs: number | null;
};

/**
 * How far the record was followed, in the bot's home. Whoever can write here can make the monitor
 * begin again, or overlook what came before; what comes after is checked all the same.
 */
export type AuditStore = Disposable & {
  readonly edge: () => Edge;
  /** The time of the last checkpoint that was read to its end. */
  readonly seenMs: () => number | null;
  readonly book: Book;
  readonly names: () => Holding[];
  readonly keep: (progress: Progress) => void;
  readonly faults: () => Fault[];
  /** Takes a fault away, which was mended. */
  readonly forget: (fault: Fault) => void;
  readonly entryAt: (index: number) => Entry | undefined;
  /** The highest number of an entry for this node among the first `size`. */
  readonly seqOf: (node: string, size: number) => number;
  readonly due: (node: string) => Due | undefined;
  readonly setDue: (node: string, due: Due) => void;
};

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS followed (only INTEGER PRIMARY KEY CHECK (only = 1),
    origin TEXT NOT NULL, size INTEGER NOT NULL, levels TEXT NOT NULL, seen_ms INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS entries (idx INTEGER PRIMARY KEY, payload_type TEXT NOT NULL,
    digest TEXT NOT NULL, node TEXT, seq INTEGER) STRICT;
  CREATE INDEX IF NOT EXISTS entries_by_node ON entries (node, idx) WHERE node IS NOT NULL;
  CREATE TABLE IF NOT EXISTS faults (idx INTEGER NOT NULL, code TEXT NOT NULL,
    sentence TEXT NOT NULL, PRIMARY KEY (idx, code)) STRICT;
  CREATE TABLE IF NOT EXISTS identities (id TEXT PRIMARY KEY, known TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS documents (digest TEXT PRIMARY KEY, identity TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, holding TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS dues (node TEXT PRIMARY KEY, at_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL, due_seq INTEGER NOT NULL, withheld INTEGER NOT NULL) STRICT;
`;

/** Opens what a bot remembers of the log `origin`; throws `BotError`. */
export function openAuditStore(homePath: string, origin: string): AuditStore {
  const database = openFile(homePath);
  requireOrigin(database, origin, homePath);
  const one = (text: string, ...values: (string | number)[]) =>
    database.prepare(text).get(...values);
  return {
    edge: () => {
      const row = one('SELECT size, levels FROM followed');
      return row === undefined ? EMPTY_EDGE : edgeOf(Number(row['size']), String(row['levels']));
    },
    seenMs: () => {
      const seenMs = one('SELECT seen_ms FROM followed')?.['seen_ms'];
      return typeof seenMs === 'number' ? seenMs : null;
    },
    book: bookOf(database),
    names: () =>
      database
        .prepare('SELECT holding FROM names')
        .all()
        .map(({ holding }) => JSON.parse(String(holding)) as Holding),
    keep: (progress) => keep(database, progress),
    faults: () =>
      database
        .prepare('SELECT idx, code, sentence FROM faults ORDER BY idx LIMIT 1000')
        .all()
        .map((row) => ({
          index: Number(row['idx']),
          code: String(row['code']),
          sentence: String(row['sentence']),
        })),
    forget: ({ index, code }) => {
      database.prepare('DELETE FROM faults WHERE idx = ? AND code = ?').run(index, code);
    },
    entryAt: (index) => {
      const row = one('SELECT * FROM entries WHERE idx = ?', index);
      if (row === undefined) return undefined;
      const entry = { payloadType: String(row['payload_type']), digest: String(row['digest']) };
      const { node } = row;
      if (typeof node !== 'string') return entry;
      return { ...entry, to: { node, seq: Number(row['seq']) } };
    },
    seqOf: (node, size) => {
      const text = 'SELECT max(seq) AS seq FROM entries WHERE node = ? AND idx < ?';
      return Number(one(text, node, size)?.['seq'] ?? 0);
    },
    ...duesOf(database),
    [Symbol.dispose]: () => database.close(),
  };
}

function duesOf(database: DatabaseSync): Pick<AuditStore, 'due' | 'setDue'> {
  return {
    due: (node) => {
      const row = database.prepare('SELECT * FROM dues WHERE node = ?').get(node);
      if (row === undefined) return undefined;
      return {
        atMs: Number(row['at_ms']),
        seq: Number(row['seq']),
        dueSeq: Number(row['due_seq']),
        isWithheld: row['withheld'] === 1,
      };
    },
    setDue: (node, { atMs, seq, dueSeq, isWithheld }) => {
      database
        .prepare(
          `INSERT INTO dues VALUES (?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE
            SET at_ms = excluded.at_ms, seq = excluded.seq, due_seq = excluded.due_seq,
              withheld = excluded.withheld`,
        )
        .run(node, atMs, seq, dueSeq, isWithheld ? 1 : 0);
    },
  };
}

function openFile(homePath: string): DatabaseSync {
  try {
    if (!existsSync(homePath)) mkdirSync(homePath, { mode: 0o700 });
    const database = new DatabaseSync(join(homePath, 'record.sqlite'), { timeout: SECOND_MS });
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec(SCHEMA);
    return database;
  } catch (cause) {
    const sentence = `${join(homePath, 'record.sqlite')} can't be used; use --home DIR.`;
    throw new BotError('HOME_UNWRITABLE', sentence, { cause });
  }
}

function requireOrigin(database: DatabaseSync, origin: string, homePath: string): void {
  database
    .prepare('INSERT INTO followed VALUES (1, ?, 0, ?, NULL) ON CONFLICT DO NOTHING')
    .run(origin, '[]');
  const known = String(database.prepare('SELECT origin FROM followed').get()?.['origin']);
  if (known === origin) return;
  database.close();
  const sentence = `This bot follows ${known}, not ${origin}; use another --home than ${homePath}.`;
  throw new BotError('DIRECTORY_CHANGED', sentence);
}

function keep(database: DatabaseSync, progress: Progress): void {
  const { edge, entries, faults, book, seenMs } = progress;
  const levels = edge.levels.map((hashes) => Buffer.from(hashes).toString('base64'));
  database.exec('BEGIN IMMEDIATE');
  try {
    const entry = database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?)');
    for (const { index, entry: line } of entries) {
      const { payloadType, digest, to } = line;
      entry.run(index, payloadType, digest, to?.node ?? null, to?.seq ?? null);
    }
    const fault = database.prepare('INSERT INTO faults VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
    for (const { index, code, sentence } of faults) fault.run(index, code, sentence);
    keepBook(database, book);
    database
      .prepare('UPDATE followed SET size = ?, levels = ?, seen_ms = coalesce(?, seen_ms)')
      .run(edge.size, JSON.stringify(levels), seenMs);
    database.exec('COMMIT');
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK');
    const sentence = 'What was read of the record can not be kept; make room in the home folder.';
    throw new BotError('HOME_UNWRITABLE', sentence, { cause });
  }
}

function keepBook(database: DatabaseSync, { identities, owners, holdings }: OpenBook): void {
  const identity = database.prepare('INSERT OR REPLACE INTO identities VALUES (?, ?)');
  for (const [id, known] of identities) identity.run(id, JSON.stringify(known));
  const document = database.prepare('INSERT OR IGNORE INTO documents VALUES (?, ?)');
  for (const [digest, id] of owners) document.run(digest, id);
  const name = database.prepare('INSERT OR REPLACE INTO names VALUES (?, ?)');
  for (const [text, holding] of holdings) name.run(text, JSON.stringify(holding));
}

/** What was kept was checked before; it is read back as it was written. */
function bookOf(database: DatabaseSync): Book {
  const textOf = (text: string, key: string): string | undefined => {
    const found = database.prepare(text).get(key)?.['found'];
    return typeof found === 'string' ? found : undefined;
  };
  return {
    identity: (id) => {
      const text = textOf('SELECT known AS found FROM identities WHERE id = ?', id);
      return text === undefined ? undefined : (JSON.parse(text) as KnownIdentity);
    },
    ownerOf: (digest) => textOf('SELECT identity AS found FROM documents WHERE digest = ?', digest),
    holding: (name) => {
      const text = textOf('SELECT holding AS found FROM names WHERE name = ?', name);
      return text === undefined ? undefined : (JSON.parse(text) as Holding);
    },
  };
}

function edgeOf(size: number, text: string): Edge {
  const levels = (JSON.parse(text) as string[]).map((hashes) =>
    concatBytes(Buffer.from(hashes, 'base64')),
  );
  if (levels.every(({ length }) => length % HASH_BYTES === 0)) return { size, levels };
  throw new BotError('HOME_DAMAGED', 'record.sqlite is damaged; delete it and follow anew.');
}
