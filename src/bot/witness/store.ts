import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import nacl from 'tweetnacl';
import { SECOND_MS } from '../../lib/units.ts';
import { sha256Hex } from '../../lib/bytes.ts';
import { formatNoteKey, noteKeyOf, type NoteSigner, parseNoteKey } from '../../record/note.ts';
import { EMPTY_HEAD } from '../../record/tree.ts';
import type { CosignPlan, WatchedLog } from '../../record/witness.ts';
import { BotError } from '../errors.ts';

const LOGS_MAX = 64;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS witness (only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL, seed BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS heads (origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS log_keys (vkey TEXT PRIMARY KEY,
    origin TEXT NOT NULL REFERENCES heads (origin)) STRICT;
`;

/**
 * What a witness remembers, and the key that it signs with. Both are in one file on purpose: who
 * loses the one loses the other, so that no witness that forgot can sign a second history. Whoever
 * can write here can make it forget; whoever can read here can sign in its name.
 */
export type WitnessStore = Disposable & {
  readonly signer: NoteSigner;
  /** The key that policies name it by. */
  readonly vkey: string;
  /** From now on heads of this log are cosigned too. Throws `BotError`. */
  readonly watch: (vkey: string) => void;
  readonly origins: () => string[];
  readonly watched: (origin: string) => WatchedLog | undefined;
  /** Moves a log's head, and answers once that is on the disk; `false` when it stood elsewhere. */
  readonly advance: (plan: CosignPlan) => boolean;
};

/** Opens a witness's memory, or makes a new one with a new key; throws `BotError`. */
export function openWitnessStore(folder: string, name?: string): WitnessStore {
  const database = openFile(folder);
  const signer = signerOf(database, name);
  return {
    signer,
    vkey: formatNoteKey(noteKeyOf(signer.name, 'cosignature-v1', signer.publicKey)),
    watch: (vkey) => watch(database, vkey),
    origins: () =>
      database
        .prepare('SELECT origin FROM heads ORDER BY origin')
        .all()
        .map(({ origin }) => String(origin)),
    watched: (origin) => {
      const head = database.prepare('SELECT size, root FROM heads WHERE origin = ?').get(origin);
      if (head === undefined) return undefined;
      const keys = database.prepare('SELECT vkey FROM log_keys WHERE origin = ?').all(origin);
      return {
        keys: keys.map(({ vkey }) => parseNoteKey(String(vkey))),
        latest: { size: Number(head['size']), root: bytesOf(head['root']) },
      };
    },
    advance: ({ origin, from, to }) => {
      const { changes } = database
        .prepare(
          `UPDATE heads SET size = :toSize, root = :toRoot
            WHERE origin = :origin AND size = :size AND root = :root`,
        )
        .run({ origin, size: from.size, root: from.root, toSize: to.size, toRoot: to.root });
      return changes === 1;
    },
    [Symbol.dispose]: () => database.close(),
  };
}

function openFile(folder: string): DatabaseSync {
  try {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    const path = join(folder, 'witness.sqlite');
    // For this user only, whatever the folder's rights are: the key is in it.
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
    const database = new DatabaseSync(path, { timeout: 5 * SECOND_MS });
    // Every change is on the disk before the statement ends: nothing is signed on a promise.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec(SCHEMA);
    return database;
  } catch (cause) {
    const sentence = `The folder ${folder} can't be used; name one that you may write to.`;
    throw new BotError('HOME_UNWRITABLE', sentence, { cause });
  }
}

/** The key of this file; the first that asks makes it. */
function signerOf(database: DatabaseSync, wished: string | undefined): NoteSigner {
  const fresh = nacl.sign.keyPair();
  const given = wished ?? `witness-${sha256Hex(fresh.publicKey).slice(0, 10)}`;
  // A name that no key can have is refused before it is kept.
  noteKeyOf(given, 'cosignature-v1', fresh.publicKey);
  database
    .prepare('INSERT INTO witness (only, name, seed) VALUES (1, ?, ?) ON CONFLICT DO NOTHING')
    .run(given, fresh.secretKey.slice(0, 32));
  const row = database.prepare('SELECT name, seed FROM witness').get() ?? {};
  const name = String(row['name']);
  if (wished !== undefined && wished !== name) {
    const sentence = `This witness is called ${name}, and its key with it; leave --name away.`;
    throw new BotError('USAGE', sentence);
  }
  return { name, ...nacl.sign.keyPair.fromSeed(bytesOf(row['seed'])) };
}

function watch(database: DatabaseSync, vkey: string): void {
  const { name: origin, type } = parseNoteKey(vkey);
  if (type !== 'ed25519') {
    const sentence = `${origin} is the key of a witness; --log takes the key of a log.`;
    throw new BotError('USAGE', sentence);
  }
  const known = Number(database.prepare('SELECT count(*) AS n FROM log_keys').get()?.['n']);
  if (known >= LOGS_MAX) {
    throw new BotError('USAGE', `A witness watches ${LOGS_MAX} logs at most; run a second one.`);
  }
  const { size, root } = EMPTY_HEAD;
  database
    .prepare('INSERT INTO heads (origin, size, root) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
    .run(origin, size, root);
  database
    .prepare('INSERT INTO log_keys (vkey, origin) VALUES (?, ?) ON CONFLICT DO NOTHING')
    .run(vkey, origin);
}

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? new Uint8Array(value) : new Uint8Array();
}
