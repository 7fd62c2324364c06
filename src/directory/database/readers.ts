import { type Connection, PostgresError, type Query } from '../../host/net/postgres.ts';
import { RefusedError } from '../errors.ts';
import type { Database } from './database.ts';
import { type Answer, driveAsync, type Statement, type Work } from './work.ts';

const READERS_MAX = 8;
const BEGIN_READING: Query = { text: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' };

export type Readers = Pick<Database, 'read' | 'close'>;

/** A few connections that read; who finds them all busy waits for the next one. */
export function openReaders(
  connect: () => Promise<Connection>,
  queryOf: (statement: Statement) => Query,
): Readers {
  const idle: Connection[] = [];
  const waiting: (() => void)[] = [];
  let busyCount = 0;
  let isClosed = false;
  const take = async (): Promise<Connection> => {
    // Whoever gives one back hands its place on, so the count stays as it is.
    if (busyCount >= READERS_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
    else busyCount += 1;
    for (let known = idle.pop(); known !== undefined; known = idle.pop()) {
      if (known.isOpen()) return known;
    }
    return connect();
  };
  const giveBack = (connection: Connection | undefined): void => {
    if (isClosed) void connection?.close();
    else if (connection?.isOpen() === true) idle.push(connection);
    const next = waiting.shift();
    if (next === undefined) busyCount -= 1;
    else next();
  };
  return {
    read: async (work) => {
      let connection: Connection | undefined;
      try {
        connection = await take();
        return await readOver({ connection, queryOf }, work);
      } catch (error) {
        throw error instanceof PostgresError ? silent(error) : error;
      } finally {
        giveBack(connection);
      }
    },
    close: async () => {
      isClosed = true;
      await Promise.all(idle.map(async (connection) => connection.close()));
    },
  };
}

type Reader = {
  readonly connection: Connection;
  readonly queryOf: (statement: Statement) => Query;
};

async function readOver<T>({ connection, queryOf }: Reader, work: Work<T>): Promise<T> {
  let opening = [BEGIN_READING];
  const answer = async (statements: readonly Statement[]): Promise<readonly Answer[]> => {
    const answers = await connection.ask([...opening, ...statements.map(queryOf)]);
    const skipped = opening.length;
    opening = [];
    return answers.slice(skipped);
  };
  try {
    return await driveAsync(work, answer);
  } finally {
    // Whatever follows on this connection goes after it, so nobody waits for its answer.
    if (connection.isOpen()) void connection.ask([{ text: 'ROLLBACK' }]).catch(() => undefined);
  }
}

function silent(cause: unknown): RefusedError {
  const sentence = 'The database of this directory does not answer now; ask again in a moment.';
  return new RefusedError('STORE_FAILED', sentence, { cause });
}
