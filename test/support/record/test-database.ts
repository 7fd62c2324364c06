import { join } from 'node:path';
import type { Database, Recorder } from '../../../src/directory/database/database.ts';
import { openSqlite } from '../../../src/directory/database/sqlite.ts';

export type DatabaseWish = {
  readonly folder: string;
  /** Of a PostgreSQL; else a file in the folder. */
  readonly url: string | null;
  readonly recorder: Recorder;
};

/** The database of a test's directory, opened as its main program does it. */
export async function openTestDatabase({ folder, recorder }: DatabaseWish): Promise<Database> {
  return openSqlite({ path: join(folder, 'directory.sqlite'), grid: 'test', recorder });
}
