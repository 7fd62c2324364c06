import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { verifySignedCancellation } from '../../contract/verify.ts';
import { utf8 } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { parseStrictJson } from '../../lib/strict-json.ts';
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import { cancellationBody } from '../../sdk/api.ts';
import { LETTER_BYTES_MAX, type Letter, NODE_LETTERS_MAX } from '../../sdk/letters.ts';

export class LetterError extends ZosError<'LETTER_TOO_LONG' | 'LETTER_STALE' | 'BOX_FULL'> {}

/** The status of each refusal; of all that is not signed as it should be, 400. */
export const LETTER_STATUS = {
  LETTER_TOO_LONG: 413,
  LETTER_STALE: 422,
  BOX_FULL: 503,
} as const satisfies Record<LetterError['code'], number>;

const LETTERS_MAX = 4096;
const KEPT_MS = 7 * DAY_MS;

/**
 * The letter box: cancellations that wait for their nodes, for when a directory is silent or keeps
 * them back. Nobody is trusted with anything here: nodes check each letter by its tenant's
 * signature. Whoever fills a node's box keeps others out of it, until a week has passed.
 */
export type LetterBox = Disposable & {
  /** Keeps a letter, durably; the same again changes nothing. Throws `LetterError` and below. */
  readonly put: (body: Uint8Array, nowMs: number) => void;
  readonly letters: (node: string, nowMs: number) => Letter[];
};

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS letters (contract TEXT NOT NULL, tenant TEXT NOT NULL,
    node TEXT NOT NULL, at_ms INTEGER NOT NULL, letter TEXT NOT NULL,
    PRIMARY KEY (contract, tenant)) STRICT;
  CREATE INDEX IF NOT EXISTS letters_of_node ON letters (node);
`;

/** Opens the box in a witness's folder, beside what it must not lose. */
export function openLetterBox(folder: string): LetterBox {
  const database = new DatabaseSync(join(folder, 'letters.sqlite'), { timeout: 5 * SECOND_MS });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec(SCHEMA);
  const sweep = database.prepare('DELETE FROM letters WHERE at_ms <= ?');
  const count = database.prepare(
    'SELECT count(*) AS total, count(*) FILTER (WHERE node = ?) AS own FROM letters',
  );
  const insert = database.prepare(
    `INSERT INTO letters (contract, tenant, node, at_ms, letter) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
  );
  const select = database.prepare(
    'SELECT letter FROM letters WHERE node = ? AND at_ms > ? ORDER BY at_ms LIMIT ?',
  );
  return {
    put: (body, nowMs) => {
      const letter = readLetter(body);
      const { contract, tenant, node, atMs } = verifySignedCancellation(letter);
      if (atMs <= nowMs - KEPT_MS || atMs > nowMs + 5 * MINUTE_MS) {
        const sentence = 'It was not signed in the last seven days; sign it again now.';
        throw new LetterError('LETTER_STALE', sentence);
      }
      sweep.run(nowMs - KEPT_MS);
      const { total, own } = count.get(node) ?? {};
      if (Number(total) >= LETTERS_MAX || Number(own) >= NODE_LETTERS_MAX) {
        const sentence = 'Too many letters wait here already; leave it with another witness.';
        throw new LetterError('BOX_FULL', sentence);
      }
      insert.run(contract, tenant, node, atMs, JSON.stringify(letter));
    },
    letters: (node, nowMs) =>
      select
        .all(node, nowMs - KEPT_MS, NODE_LETTERS_MAX)
        .map(({ letter }) => readLetter(utf8(String(letter)))),
    [Symbol.dispose]: () => database.close(),
  };
}

function readLetter(body: Uint8Array): Letter {
  if (body.length > LETTER_BYTES_MAX) {
    const sentence = `A letter has ${LETTER_BYTES_MAX} bytes at most.`;
    throw new LetterError('LETTER_TOO_LONG', sentence);
  }
  const limits = { bytesMax: LETTER_BYTES_MAX, depthMax: 12 };
  return cancellationBody.parse(parseStrictJson(body, limits));
}
