import { Client, DatabaseError } from 'pg';
import { ZosError } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';

export class PostgresError extends ZosError<'POSTGRES_GONE' | 'POSTGRES_REFUSED'> {}

/** A statement with `$1`, `$2`…; one with a name is prepared once for each connection. */
export type Query = { readonly text: string; readonly values?: unknown[]; readonly name?: string };
export type Rows = { readonly rows: readonly Record<string, unknown>[]; readonly changed: number };

/** One connection to PostgreSQL; once it is not open it stays so. */
export type Connection = {
  readonly isOpen: () => boolean;
  /**
   * Sends all of them before it waits for any answer. Throws `PostgresError` with the first error,
   * whose `facts.sqlState` says which.
   */
  readonly ask: (queries: readonly Query[]) => Promise<readonly Rows[]>;
  readonly close: () => Promise<void>;
};

export type ConnectionOptions = {
  /** `postgres://USER@HOST/DATABASE`; a password stands in the file that PGPASSFILE names. */
  readonly url: string;
  readonly name: string;
  readonly onNotice?: (channel: string, text: string) => void;
  readonly onLost?: () => void;
};

const CONNECT_MS_MAX = 3 * SECOND_MS;
/** For each statement, by the server, and for an answer, by us: a server may be gone silently. */
const STATEMENT_MS_MAX = 10 * SECOND_MS;
const ANSWER_MS_MAX = 15 * SECOND_MS;
/** A process that stands still in a transaction must not keep its locks from all others. */
const IDLE_TRANSACTION_MS_MAX = 5 * SECOND_MS;

const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  // int8: every one of ours is within what a number holds exactly.
  20: Number,
};

/** Opens a connection; throws `PostgresError`. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const client = new Client({
    connectionString: options.url,
    application_name: options.name,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    statement_timeout: STATEMENT_MS_MAX,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_MS_MAX,
    types: { getTypeParser: (oid: number) => PARSERS[oid] ?? plainParser(oid) },
  });
  let isOpen = true;
  const lose = (): void => {
    if (!isOpen) return;
    isOpen = false;
    options.onLost?.();
  };
  client.on('error', lose);
  client.on('end', lose);
  client.on('notification', ({ channel, payload }) => options.onNotice?.(channel, payload ?? ''));
  try {
    await client.connect();
  } catch (cause) {
    isOpen = false;
    throw errorOf(cause, 'PostgreSQL can not be reached or lets nobody in; is it up?');
  }
  return {
    isOpen: () => isOpen,
    ask: async (queries) => {
      const timer = setTimeout(() => {
        lose();
        client.connection.stream.destroy();
      }, ANSWER_MS_MAX);
      try {
        const settled = await Promise.allSettled(queries.map(async (query) => client.query(query)));
        return settled.map((one) => {
          if (one.status === 'rejected') throw errorOf(one.reason, 'PostgreSQL did not answer.');
          return { rows: one.value.rows, changed: one.value.rowCount ?? 0 };
        });
      } finally {
        clearTimeout(timer);
      }
    },
    close: async () => {
      isOpen = false;
      await client.end().catch(() => undefined);
    },
  };
}

/** Texts as they are; bytes and floating point as the driver reads them. */
function plainParser(oid: number): (text: string) => unknown {
  if (oid === 17) return (text) => new Uint8Array(Buffer.from(text.slice(2), 'hex'));
  if (oid === 16) return (text) => text === 't';
  return [21, 23, 26, 700, 701].includes(oid) ? Number : (text) => text;
}

/** Shut down, out of reach, or tired of waiting for us: this connection is over. */
const GONE = /^(?:08|57P|25P03)/u;

/** No text of the server's goes to people: it may quote what was to be written. */
function errorOf(cause: unknown, sentence: string): PostgresError {
  const sqlState = cause instanceof DatabaseError ? (cause.code ?? '') : '';
  if (sqlState === '' || GONE.test(sqlState)) {
    return new PostgresError('POSTGRES_GONE', sentence, { cause });
  }
  const facts = { sqlState };
  return new PostgresError('POSTGRES_REFUSED', `PostgreSQL refused (${sqlState}).`, {
    cause,
    facts,
  });
}
