import { join } from 'node:path';
import type { Database, Recorder } from '../../../src/directory/database/database.ts';
import { openPostgres } from '../../../src/directory/database/postgres.ts';
import { openSqlite } from '../../../src/directory/database/sqlite.ts';
import { GRID } from '../contracts.ts';
import { openPostgresServer, type Postgres } from './postgres.ts';

type Wish = { readonly folder: string; readonly recorder: Recorder };

let server: Postgres | undefined;
let lastUrl: string | undefined;

/** A new database of the kind that this test file runs on: SQLite, unless it said otherwise. */
export async function openTestDatabase({ folder, recorder }: Wish): Promise<Database> {
  if (server === undefined) {
    return openSqlite({ path: join(folder, 'directory.sqlite'), grid: GRID, recorder });
  }
  lastUrl = await server.makeDatabase();
  return openPostgres({ url: lastUrl, grid: GRID, recorder });
}

/** The database that was made last, as another process of the same directory opens it. */
export async function openSharedDatabase(recorder: Recorder): Promise<Database | undefined> {
  return lastUrl === undefined ? undefined : openPostgres({ url: lastUrl, grid: GRID, recorder });
}

/** From here on the tests of this file run on PostgreSQL, on a server of their own. */
export async function usePostgres(): Promise<AsyncDisposable> {
  const own = await openPostgresServer({ isDurable: false });
  server = own;
  return own;
}
