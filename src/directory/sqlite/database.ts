import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { SECOND_MS } from '../../lib/units.ts';
import { RefusedError, StartError } from '../errors.ts';
import { SCHEMA, SCHEMA_VERSION } from './schema.ts';

const BATCH_WRITES_MAX = 256;

export type Row = Readonly<Record<string, unknown>>;

/** SQL by its text, prepared once; values never stand in the text. */
export type Sql = {
  readonly run: (text: string, values?: SqlValues) => number;
  readonly one: (text: string, values?: SqlValues) => Row | undefined;
  readonly all: (text: string, values?: SqlValues) => Row[];
  readonly each: (text: string, values?: SqlValues) => Iterable<Row>;
};
export type SqlValues = Record<string, SQLInputValue>;

/** A transaction under way: SQL, and whom to wake once it is on the disk. */
export type Transaction = Sql & { readonly touch: (node: string) => void };

export type Database = {
  readonly sql: Sql;
  /** Runs `work` in a transaction and answers once it is on the disk; what it throws undoes it. */
  readonly write: <T>(work: (transaction: Transaction) => T) => Promise<T>;
  readonly onChange: (listener: (nodes: readonly string[]) => void) => void;
  readonly close: () => Promise<void>;
};

type Job = {
  readonly work: (transaction: Transaction) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
};
type Outcome = { readonly job: Job; readonly value?: unknown; readonly error?: unknown };

/**
 * One SQLite file, held by this process alone. Writes that arrive together share one transaction
 * and one flush to the disk (group commit); each is undone alone by its own savepoint.
 */
export function openDatabase(path: string, grid: string): Database {
  const database = openExclusively(path);
  try {
    prepareSchema(database, grid);
  } catch (error) {
    database.close();
    throw error;
  }
  const sql = preparedSql(database);
  const listeners: ((nodes: readonly string[]) => void)[] = [];
  let queue: Job[] = [];
  let isScheduled = false;

  const flush = (): void => {
    isScheduled = false;
    const batch = queue.slice(0, BATCH_WRITES_MAX);
    queue = queue.slice(BATCH_WRITES_MAX);
    schedule();
    const touched = new Set<string>();
    for (const outcome of commit(database, sql, { batch, touched })) settle(outcome);
    if (touched.size > 0) for (const listener of listeners) listener([...touched]);
  };
  const schedule = (): void => {
    if (isScheduled || queue.length === 0) return;
    isScheduled = true;
    setImmediate(flush);
  };

  return {
    sql,
    write: async (work) =>
      new Promise((resolve, reject) => {
        queue.push({ work, resolve, reject });
        schedule();
      }),
    onChange: (listener) => listeners.push(listener),
    close: async () => {
      while (queue.length > 0) flush();
      database.close();
    },
  };
}

/** Runs a batch; touched nodes are those of the writes that were kept. */
function commit(
  database: DatabaseSync,
  sql: Sql,
  { batch, touched }: { batch: readonly Job[]; touched: Set<string> },
): Outcome[] {
  try {
    database.exec('BEGIN IMMEDIATE');
    const outcomes = batch.map((job) => runJob({ database, sql, job, touched }));
    database.exec('COMMIT');
    return outcomes;
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK');
    touched.clear();
    const error = new RefusedError(
      'STORE_FAILED',
      'The directory could not write this down, so it did not happen; try again later.',
      { cause },
    );
    return batch.map((job) => ({ job, error }));
  }
}

function runJob(run: {
  readonly database: DatabaseSync;
  readonly sql: Sql;
  readonly job: Job;
  readonly touched: Set<string>;
}): Outcome {
  const { database, sql, job, touched } = run;
  const nodes: string[] = [];
  database.exec('SAVEPOINT job');
  try {
    const value = job.work({ ...sql, touch: (node) => nodes.push(node) });
    for (const node of new Set(nodes)) {
      sql.run('UPDATE nodes SET revision = revision + 1 WHERE id = :node', { node });
    }
    database.exec('RELEASE job');
    for (const node of nodes) touched.add(node);
    return { job, value };
  } catch (error) {
    // A full disk ends the whole transaction by itself, and with it every job of the batch.
    if (!database.isTransaction) throw error;
    database.exec('ROLLBACK TO job');
    database.exec('RELEASE job');
    return { job, error };
  }
}

function settle({ job, value, error }: Outcome): void {
  if (error === undefined) job.resolve(value as never);
  else job.reject(error);
}

function openExclusively(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: SECOND_MS });
  try {
    // One process: its wake-ups reach its own feeds only, and two would not see each other's.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    database.exec('BEGIN IMMEDIATE; COMMIT');
    return database;
  } catch (cause) {
    database.close();
    const isHeld = cause instanceof Error && 'errcode' in cause && Number(cause.errcode) === 5;
    if (!isHeld) throw cause;
    throw new StartError(
      'DIRECTORY_RUNNING',
      'Another directory runs on this data folder; stop it first, or name another with --data.',
      { cause },
    );
  }
}

function prepareSchema(database: DatabaseSync, grid: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version === 0) {
    database.exec(`BEGIN IMMEDIATE; ${SCHEMA}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
    database.prepare('INSERT INTO grid (name) VALUES (?)').run(grid);
  }
  const found = database.prepare('SELECT name FROM grid').get()?.['name'];
  if ((version === 0 || version === SCHEMA_VERSION) && found === grid) return;
  throw new StartError(
    'GRID_OTHER',
    `This data folder is of the grid ${String(found)}, schema ${version}; ` +
      'name its grid with --grid, or another folder with --data.',
  );
}

function preparedSql(database: DatabaseSync): Sql {
  const statements = new Map<string, StatementSync>();
  const prepare = (text: string): StatementSync => {
    const known = statements.get(text);
    if (known !== undefined) return known;
    const statement = database.prepare(text);
    statements.set(text, statement);
    return statement;
  };
  return {
    run: (text, values = {}) => Number(prepare(text).run(values).changes),
    one: (text, values = {}) => prepare(text).get(values),
    all: (text, values = {}) => prepare(text).all(values),
    each: (text, values = {}) => prepare(text).iterate(values),
  };
}
