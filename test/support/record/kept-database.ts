import { join } from 'node:path';
import type { Database, Recorder } from '../../../src/directory/database/database.ts';
import { openPostgres } from '../../../src/directory/database/postgres.ts';
import { openSqlite } from '../../../src/directory/database/sqlite.ts';

export type DatabaseWish = {
  readonly folder: string;
  /** Of a PostgreSQL; else a file in the folder. */
  readonly url: string | null;
  readonly recorder: Recorder;
};

/** A database that is there again when it is opened again, as the main program opens it. */
export async function openKeptDatabase(wish: DatabaseWish): Promise<Database> {
  const { folder, url, recorder } = wish;
  if (url !== null) return openPostgres({ url, grid: 'test', recorder });
  return openSqlite({ path: join(folder, 'directory.sqlite'), grid: 'test', recorder });
}
