import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Database, NO_RECORD } from '../../../src/directory/database/database.ts';
import { openSqlite } from '../../../src/directory/database/sqlite.ts';
import { all, one, run } from '../../../src/directory/database/work.ts';

function open(): AsyncDisposable & { database: Database } {
  const folder = mkdtempSync(join(tmpdir(), 'zos-database-'));
  const database = openSqlite({ path: join(folder, 'db'), grid: 'test', recorder: NO_RECORD });
  return {
    database,
    [Symbol.asyncDispose]: async () => {
      await database.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const PUT = 'INSERT INTO bundles (digest, bundle) VALUES (:id, :envelope)';

async function idsIn({ read }: Database): Promise<unknown[]> {
  return (await read(all('SELECT digest AS id FROM bundles ORDER BY digest'))).map(({ id }) => id);
}

test('writes that share a transaction fail alone', async () => {
  await using opened = open();
  const { database } = opened;
  const put = async (id: string, isBroken = false) =>
    database.write(function* () {
      yield* run(PUT, { id, envelope: '{}' });
      if (isBroken) throw new Error(`broken ${id}`);
      return id;
    });
  const outcomes = await Promise.allSettled([put('a'), put('b', true), put('a'), put('c')]);
  const words = outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason),
  );
  expect(words).toEqual([
    'a',
    'Error: broken b',
    'Error: UNIQUE constraint failed: bundles.digest',
    'c',
  ]);
  expect(await idsIn(database)).toEqual(['a', 'c']);
});

test('a disk that is full refuses writes clearly, loses nothing, and reads go on', async () => {
  await using opened = open();
  const { database } = opened;
  const put = async (id: string, lengthBytes: number) =>
    database.write(() => run(PUT, { id, envelope: 'x'.repeat(lengthBytes) }));
  await put('before', 10);
  const pages = Number((await database.read(one('PRAGMA page_count')))?.['page_count']);
  await database.read(all(`PRAGMA max_page_count = ${pages + 2}`));
  const outcomes = await Promise.allSettled([put('small', 10), put('large', 1_000_000)]);
  const large = outcomes[1];
  expect(large).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED' } });
  expect(await idsIn(database)).not.toContain('large');
  expect(await idsIn(database)).toContain('before');
  await database.read(all('PRAGMA max_page_count = 1000000'));
  await put('after', 1_000_000);
  // What was said to have failed is not there, and what was said to be written is.
  const kept = outcomes[0].status === 'fulfilled' ? ['small'] : [];
  expect(await idsIn(database)).toEqual(['after', 'before', ...kept]);
});

test('who waits is woken after the commit, by what was kept only', async () => {
  await using opened = open();
  const { database } = opened;
  const woken: unknown[] = [];
  database.onChange((nodes) => woken.push(nodes));
  await Promise.allSettled([
    database.write(function* ({ touch }) {
      touch('kept');
      touch('kept');
      yield* [];
    }),
    database.write(function* ({ touch }) {
      touch('undone');
      yield* run(PUT, { id: 'undone', envelope: '{}' });
      throw new Error('undone');
    }),
  ]);
  await database.write(function* () {});
  expect(woken).toEqual([['kept']]);
});
