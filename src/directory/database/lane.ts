import { type Connection, PostgresError, type Query } from '../../host/net/postgres.ts';
import { BATCH_WRITES_MAX, type Batch, type Job, runBatch, SpoiltBatch } from './batch.ts';
import { settle, storeFailed } from './batch.ts';
import type { Database, Recorder } from './database.ts';
import { type Answer, driveAsync, type Statement } from './work.ts';

/** A transaction that met another half-way is run again so often before it is given up. */
const ATTEMPTS_MAX = 5;

export type LaneOptions = {
  readonly connect: () => Promise<Connection>;
  readonly queryOf: (statement: Statement) => Query;
  /** What opens each transaction: `BEGIN`, and the lock that makes its writes wait in line. */
  readonly opening: readonly Query[];
  readonly recorder: Recorder;
  /** Whether its writes go side by side, and not one after the other. */
  readonly isAbreast: boolean;
  /** What a transaction has to tell other processes. */
  readonly notices: (batch: Batch) => readonly Query[];
  readonly committed: (batch: Batch) => void;
};

/** A connection over which writes go one batch after the other. */
export type Lane = {
  readonly write: Database['write'];
  readonly close: () => Promise<void>;
};

/** While a batch is under way the next one gathers: the busier, the fewer flushes a write. */
export function openLane(options: LaneOptions): Lane {
  let queue: Job[] = [];
  let connection: Connection | undefined;
  let running: Promise<void> | undefined;

  const connected = async (): Promise<Connection> => {
    if (connection?.isOpen() !== true) connection = await options.connect();
    return connection;
  };
  const runAll = async (): Promise<void> => {
    // What arrives in the same turn of the event loop is part of the first batch.
    await new Promise(setImmediate);
    while (queue.length > 0) {
      const jobs = queue.slice(0, BATCH_WRITES_MAX);
      queue = queue.slice(BATCH_WRITES_MAX);
      await commit(jobs, { ...options, connect: connected });
    }
    running = undefined;
  };
  return {
    write: async (write) =>
      new Promise((resolve, reject) => {
        queue.push({ write, resolve, reject });
        running ??= runAll();
      }),
    close: async () => {
      await running;
      await connection?.close();
    },
  };
}

/** Never throws: whoever waits for one of the writes is told. */
async function commit(jobs: readonly Job[], options: LaneOptions): Promise<void> {
  let hasSavepoints = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const batch = await runOnce(jobs, { ...options, hasSavepoints });
      for (const outcome of batch.outcomes) settle(outcome);
      options.committed(batch);
      return;
    } catch (error) {
      const isAgain = attempt < ATTEMPTS_MAX && (error instanceof SpoiltBatch || isMet(error));
      if (!isAgain) {
        for (const job of jobs) job.reject(storeFailed(error));
        return;
      }
      hasSavepoints ||= error instanceof SpoiltBatch;
    }
  }
}

type Once = LaneOptions & { readonly hasSavepoints: boolean };

async function runOnce(jobs: readonly Job[], options: Once): Promise<Batch> {
  const connection = await options.connect();
  let opening = options.opening;
  let end: unknown;
  const answer = async (statements: readonly Statement[]): Promise<readonly Answer[]> => {
    if (end !== undefined) throw end;
    const queries = [...opening, ...statements.map(options.queryOf)];
    const skipped = opening.length;
    opening = [];
    try {
      return (await connection.ask(queries)).slice(skipped);
    } catch (error) {
      if (endsAll(error)) end = error;
      throw error;
    }
  };
  try {
    const batch = await driveAsync(runBatch(jobs, options), answer);
    // None of its writes asked anything: there is no transaction.
    if (opening.length > 0) return batch;
    await connection.ask([...options.notices(batch), { text: 'COMMIT' }]);
    return batch;
  } catch (error) {
    if (opening.length === 0 && connection.isOpen()) {
      await connection.ask([{ text: 'ROLLBACK' }]).catch(async () => connection.close());
    }
    throw end ?? error;
  }
}

function sqlStateOf(error: unknown): string {
  const state = error instanceof PostgresError ? error.facts['sqlState'] : undefined;
  return typeof state === 'string' ? state : '';
}

/** It waited for another transaction that waited for it, or read what another changed. */
function isMet(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlStateOf(error));
}

/** Whether an error is of the database and of all its writes: out of reach, full, broken. */
function endsAll(error: unknown): boolean {
  if (!(error instanceof PostgresError)) return false;
  return error.code === 'POSTGRES_GONE' || /^(?:40|53|57|58|XX)/u.test(sqlStateOf(error));
}
