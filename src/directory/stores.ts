import { join } from 'node:path';
import type { Database, Recorder } from './database/database.ts';
import { openPostgres } from './database/postgres.ts';
import { openSqlite } from './database/sqlite.ts';
import { StartError } from './errors.ts';

export type StoreWish = {
  readonly folder: string;
  readonly grid: string;
  /** As `checkedStoreUrl` let it through. */
  readonly storeUrl: string | undefined;
};

/** Refuses what is no PostgreSQL, and a password where everybody can read it. */
export function checkedStoreUrl(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  if (!/^postgres(?:ql)?:\/\//u.test(url)) {
    const sentence = '--store takes postgres://USER@HOST/DATABASE; without it SQLite is used.';
    throw new StartError('ARGUMENTS', sentence);
  }
  if (/^[^/]*\/\/[^/?@]*:[^/?]*@|[?&]password=/u.test(url)) {
    const sentence =
      'Everybody on this machine sees a password in --store; put it into the file that ' +
      'PGPASSFILE names.';
    throw new StartError('ARGUMENTS', sentence);
  }
  return url;
}

/** SQLite in the data folder, unless a PostgreSQL was named. */
export async function openDatabase(wish: StoreWish, recorder: Recorder): Promise<Database> {
  const { folder, grid, storeUrl: url } = wish;
  if (url !== undefined) return openPostgres({ url, grid, recorder });
  return openSqlite({ path: join(folder, 'directory.sqlite'), grid, recorder });
}
