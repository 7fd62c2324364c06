import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDirectory } from '../../support/store/directory-process.ts';
import type { DirectoryProcess } from '../../support/store/directory-process.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';

/** The two kinds of store. */
export const STORES = ['sqlite', 'postgres'] as const;
export type StoreKind = (typeof STORES)[number];

/** Runs work against a real directory process over a new database, flushed at every commit. */
export async function withDirectory<T>(
  kind: StoreKind,
  work: (directory: DirectoryProcess) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-bench-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => rm(folder, { recursive: true, force: true }));
  if (kind === 'sqlite') {
    await using directory = await startDirectory(['--data', folder]);
    return await work(directory);
  }
  const server = cleanup.use(await openPostgresServer());
  const words = ['--store', await server.makeDatabase(), '--keys', folder];
  await using directory = await startDirectory(words);
  return await work(directory);
}
