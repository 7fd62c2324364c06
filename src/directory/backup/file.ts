import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { gridSchema } from '../../identity/farm.ts';
import { MiB } from '../../lib/units.ts';
import type { Row } from '../database/work.ts';
import { StartError } from '../errors.ts';

const CHUNK_BYTES = MiB;
/** A row is an envelope or two, of a mebibyte at the most. */
const LINE_BYTES_MAX = 16 * MiB;

const headerSchema = z.strictObject({
  kind: z.literal('zero-os-directory-backup'),
  version: z.literal(1),
  schema: z.int(),
  grid: gridSchema,
});
export type BackupHeader = z.infer<typeof headerSchema>;

const rowSchema = z.tuple([
  z.string(),
  z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
]);
const endSchema = z.strictObject({ rows: z.int(), sha256: z.string() });

/** A line of JSON for each row between a header and an end that has the hash of all before it. */
export type BackupWriter = {
  readonly take: (table: string, row: Row) => void;
  /** Makes it durable under its name, and says how many rows it has. */
  readonly end: () => number;
};

/** Begins a backup beside `path`, which holds it once it is whole. */
export function openBackupWriter(path: string, header: BackupHeader): BackupWriter {
  const file = openSync(`${path}.new`, 'w', 0o600);
  const hash = createHash('sha256');
  let rows = 0;
  let waiting: string[] = [];
  const flush = (): void => {
    const bytes = Buffer.from(waiting.join(''));
    hash.update(bytes);
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    waiting = [];
  };
  waiting.push(`${JSON.stringify(header)}\n`);
  return {
    take: (table, row) => {
      waiting.push(`${JSON.stringify([table, row])}\n`);
      rows += 1;
      if (waiting.length >= 1000) flush();
    },
    end: () => {
      flush();
      const end = { rows, sha256: hash.copy().digest('hex') };
      waiting.push(`${JSON.stringify(end)}\n`);
      flush();
      fsyncSync(file);
      closeSync(file);
      renameSync(`${path}.new`, path);
      return rows;
    },
  };
}

/** Checks a whole backup, and says what it begins with; throws `StartError`. */
export function checkBackup(path: string): BackupHeader {
  const hash = createHash('sha256');
  let header: BackupHeader | undefined;
  let rows = 0;
  let isWhole = false;
  for (const line of linesOf(path)) {
    if (isWhole) throw broken(path);
    if (header === undefined) header = parsed(headerSchema, line, path);
    else if (line.startsWith('[')) rows += 1;
    else {
      const end = parsed(endSchema, line, path);
      isWhole = end.rows === rows && end.sha256 === hash.copy().digest('hex');
      if (!isWhole) throw broken(path);
    }
    hash.update(`${line}\n`);
  }
  if (header === undefined || !isWhole) throw broken(path);
  return header;
}

/** The rows of a backup that was checked. */
export function* rowsOf(path: string): Generator<{ table: string; row: Row }> {
  for (const line of linesOf(path)) {
    if (!line.startsWith('[')) continue;
    const [table, row] = parsed(rowSchema, line, path);
    yield { table, row };
  }
}

function* linesOf(path: string): Generator<string> {
  const file = openBackup(path);
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const count = readSync(file, chunk);
      if (count === 0) break;
      rest = Buffer.concat([rest, chunk.subarray(0, count)]);
      for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10)) {
        yield rest.toString('utf8', 0, at);
        rest = rest.subarray(at + 1);
      }
      if (rest.length > LINE_BYTES_MAX) throw broken(path);
    }
    if (rest.length > 0) throw broken(path);
  } finally {
    closeSync(file);
  }
}

function openBackup(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const sentence = `${path} can't be read; name a backup with --from.`;
    throw new StartError('BACKUP_UNUSABLE', sentence, { cause });
  }
}

function parsed<T>(schema: z.ZodType<T>, line: string, path: string): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw broken(path, cause);
  }
}

function broken(path: string, cause?: unknown): StartError {
  const sentence = `${path} is no whole backup of a directory; take another copy of it.`;
  return new StartError('BACKUP_UNUSABLE', sentence, { cause });
}
