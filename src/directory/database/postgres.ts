import { randomBytes } from 'node:crypto';
import {
  type Connection,
  openConnection,
  PostgresError,
  type Query,
} from '../../host/net/postgres.ts';
import { StartError } from '../errors.ts';
import type { Database, Recorder } from './database.ts';
import { openDialect, postgresSchema } from './dialect.ts';
import { openLane } from './lane.ts';
import { runLeading, noticesOf, openEars } from './peers.ts';
import { openReaders } from './readers.ts';
import { SCHEMA_VERSION } from './schema.ts';

export type PostgresOptions = {
  readonly url: string;
  /** `null` for whichever it is of; it has to be of one then. */
  readonly grid: string | null;
  readonly recorder: Recorder;
};

/** Any number that nobody else takes in this database; those who write wait in line for it. */
const LOCK = 0x7a_6f_73;

const BEGIN: Query = { text: 'BEGIN' };
const BEGIN_LOCKED: readonly Query[] = [
  BEGIN,
  { text: `SELECT pg_advisory_xact_lock(${LOCK})`, name: 'lock' },
];

/** A PostgreSQL database, shared by any number of directory processes of one grid. */
export async function openPostgres({ url, grid, recorder }: PostgresOptions): Promise<Database> {
  const me = randomBytes(8).toString('hex');
  let isClosed = false;
  const connect = async (): Promise<Connection> => {
    if (isClosed) throw new PostgresError('POSTGRES_GONE', 'This store was closed.');
    return openConnection({ url, name: 'zos-directory' });
  };
  await prepare(await started(connect), grid);
  const queryOf = openDialect();
  const listeners: ((nodes: readonly string[] | 'all') => void)[] = [];
  const wake = (nodes: readonly string[] | 'all'): void => {
    for (const listener of listeners) listener(nodes);
  };
  const lane = (opening: readonly Query[], isAbreast: boolean) =>
    openLane({
      connect,
      queryOf,
      opening,
      isAbreast,
      recorder,
      notices: (batch) => noticesOf(me, batch),
      committed: ({ touched, entries }) => {
        if (entries.length > 0) recorder.appended();
        if (touched.length > 0) wake(touched);
      },
    });
  const [writes, notes] = [lane(BEGIN_LOCKED, false), lane([BEGIN], true)];
  const readers = openReaders(connect, queryOf);
  const ears = await openEars({ url, me, wake, recorded: recorder.appended });
  return {
    read: readers.read,
    write: writes.write,
    note: notes.write,
    onChange: (listener) => listeners.push(listener),
    lead: async (signal, work) => runLeading(connect, signal, work),
    close: async () => {
      isClosed = true;
      await Promise.all([writes.close(), notes.close(), readers.close(), ears.close()]);
    },
  };
}

async function started(connect: () => Promise<Connection>): Promise<Connection> {
  try {
    return await connect();
  } catch (cause) {
    const because = cause instanceof PostgresError ? cause.message : 'It can not be used.';
    throw new StartError('STORE_UNUSABLE', `${because} Check --store.`, { cause });
  }
}

/** Makes the tables in an empty database; two that start at once do it one after the other. */
async function prepare(connection: Connection, grid: string | null): Promise<void> {
  const first = async (text: string) => (await connection.ask([{ text }]))[0]?.rows[0];
  try {
    await connection.ask(BEGIN_LOCKED);
    const found = await first(`SELECT to_regclass('zos_schema') IS NOT NULL AS is_there`);
    if (found?.['is_there'] !== true && grid !== null) {
      await connection.ask([{ text: postgresSchema() }]);
      await connection.ask([
        { text: 'CREATE TABLE zos_schema (version BIGINT NOT NULL)' },
        { text: `INSERT INTO zos_schema (version) VALUES (${SCHEMA_VERSION})` },
        { text: 'INSERT INTO grid (name) VALUES ($1)', values: [grid] },
      ]);
    }
    await connection.ask([{ text: 'COMMIT' }]);
    if (found?.['is_there'] !== true && grid === null) {
      throw new StartError('STORE_UNUSABLE', 'There is no directory in this database.');
    }
    const version = (await first('SELECT version FROM zos_schema'))?.['version'];
    const name = (await first('SELECT name FROM grid'))?.['name'];
    if (version === SCHEMA_VERSION && (grid === null || name === grid)) return;
    throw new StartError(
      'GRID_OTHER',
      `This database is of the grid ${String(name)}, schema ${String(version)}; ` +
        'name its grid with --grid, or another database with --store.',
    );
  } finally {
    await connection.close();
  }
}
