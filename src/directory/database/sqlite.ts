import { existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { SECOND_MS } from '../../lib/units.ts';
import { StartError } from '../errors.ts';
import { type Batch, BATCH_WRITES_MAX, type Job, runBatch, settle, storeFailed } from './batch.ts';
import type { Database, Recorder } from './database.ts';
import { SCHEMA, SCHEMA_VERSION } from './schema.ts';
import { type Answer, checkValues, drive, type Statement } from './work.ts';

export type SqliteOptions = {
  readonly path: string;
  readonly grid: string;
  readonly recorder: Recorder;
};

/**
 * One SQLite file, held by this process alone. Writes that arrive together share one transaction
 * and one flush to the disk (group commit).
 */
export function openSqlite({ path, grid, recorder }: SqliteOptions): Database {
  const { file, guard } = openExclusively(path);
  try {
    prepareSchema(file, grid);
  } catch (error) {
    file.close();
    guard.close();
    throw error;
  }
  const answer = answering(file);
  const listeners: ((nodes: readonly string[]) => void)[] = [];
  let queue: Job[] = [];
  let isScheduled = false;

  const flush = (): void => {
    isScheduled = false;
    const jobs = queue.slice(0, BATCH_WRITES_MAX);
    queue = queue.slice(BATCH_WRITES_MAX);
    schedule();
    const { outcomes, touched, entries } = commit({ file, answer, jobs, recorder });
    for (const outcome of outcomes) settle(outcome);
    if (entries.length > 0) recorder.appended();
    if (touched.length > 0) for (const listener of listeners) listener(touched);
  };
  const schedule = (): void => {
    if (isScheduled || queue.length === 0) return;
    isScheduled = true;
    setImmediate(flush);
  };
  const write: Database['write'] = async (work) =>
    new Promise((resolve, reject) => {
      queue.push({ write: work, resolve, reject });
      schedule();
    });

  return {
    read: async (work) => drive(work, answer),
    write,
    note: write,
    // Nobody else can have the file open.
    lead: async (signal, work) => work(signal),
    onChange: (listener) => listeners.push(listener),
    close: async () => {
      while (queue.length > 0) flush();
      file.close();
      guard.close();
    },
  };
}

type Commit = {
  readonly file: DatabaseSync;
  readonly answer: (statement: Statement) => Answer;
  readonly jobs: readonly Job[];
  readonly recorder: Recorder;
};

function commit({ file, answer, jobs, recorder }: Commit): Batch {
  try {
    file.exec('BEGIN IMMEDIATE');
    const batch = drive(runBatch(jobs, { recorder, hasSavepoints: true }), answer);
    file.exec('COMMIT');
    return batch;
  } catch (cause) {
    if (file.isOpen && file.isTransaction) file.exec('ROLLBACK');
    const error = storeFailed(cause);
    return { outcomes: jobs.map((job) => ({ job, error })), touched: [], entries: [] };
  }
}

/** Who writes holds a file beside it, so that others may still read: a backup, for one. */
function openExclusively(path: string): { file: DatabaseSync; guard: DatabaseSync } {
  const guard = new DatabaseSync(`${path}.lock`, { timeout: SECOND_MS });
  try {
    guard.exec('PRAGMA locking_mode = EXCLUSIVE');
    guard.exec('BEGIN EXCLUSIVE; COMMIT');
    const file = new DatabaseSync(path, { timeout: SECOND_MS });
    file.exec('PRAGMA journal_mode = WAL');
    file.exec('PRAGMA synchronous = FULL');
    // What is erased is overwritten, not only left out of the books.
    file.exec('PRAGMA secure_delete = ON');
    file.exec('BEGIN IMMEDIATE; COMMIT');
    return { file, guard };
  } catch (cause) {
    guard.close();
    const isHeld = cause instanceof Error && 'errcode' in cause && Number(cause.errcode) === 5;
    if (!isHeld) throw cause;
    throw new StartError(
      'DIRECTORY_RUNNING',
      'Another directory runs on this data folder; stop it first, or name another with --data.',
      { cause },
    );
  }
}

/** Reads a file that a directory may be writing to, each time as of one moment. */
export function openSqliteReader(path: string): Pick<Database, 'read' | 'close'> {
  if (!existsSync(path)) {
    throw new StartError('STORE_UNUSABLE', `There is no directory in ${path}; check --data.`);
  }
  const file = new DatabaseSync(path, { readOnly: true, timeout: SECOND_MS });
  const version = Number(file.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version !== SCHEMA_VERSION) {
    file.close();
    const sentence = `${path} has schema ${version}, and this directory keeps ${SCHEMA_VERSION}.`;
    throw new StartError('STORE_UNUSABLE', `${sentence} Use the release of then.`);
  }
  const answer = answering(file);
  return {
    read: async (work) => {
      file.exec('BEGIN');
      try {
        return drive(work, answer);
      } finally {
        file.exec('ROLLBACK');
      }
    },
    close: async () => file.close(),
  };
}

function prepareSchema(file: DatabaseSync, grid: string): void {
  const version = Number(file.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version === 0) {
    file.exec(`BEGIN IMMEDIATE; ${SCHEMA}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
    file.prepare('INSERT INTO grid (name) VALUES (?)').run(grid);
  }
  const found = file.prepare('SELECT name FROM grid').get()?.['name'];
  if ((version === 0 || version === SCHEMA_VERSION) && found === grid) return;
  throw new StartError(
    'GRID_OTHER',
    `This data folder is of the grid ${String(found)}, schema ${version}; ` +
      'name its grid with --grid, or another folder with --data.',
  );
}

/** Answers statements, each text prepared once. */
function answering(file: DatabaseSync): (statement: Statement) => Answer {
  const prepared = new Map<string, { statement: StatementSync; isRead: boolean }>();
  return ({ text, values }) => {
    checkValues(values);
    let known = prepared.get(text);
    if (known === undefined) {
      const statement = file.prepare(text);
      known = { statement, isRead: statement.columns().length > 0 };
      prepared.set(text, known);
    }
    if (!known.isRead) {
      return { rows: [], changed: Number(known.statement.run(values).changes) };
    }
    const rows = known.statement.all(values);
    return { rows, changed: rows.length };
  };
}
