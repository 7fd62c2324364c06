import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openClient } from '../../../src/sdk/index.ts';
import {
  launchDirectory,
  layGround,
  smallContract,
  startDirectory,
} from '../../support/store/directory-process.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';

/** Runs one of the commands, and answers with its status and what it said. */
async function command(...words: readonly string[]) {
  const { ended, texts } = launchDirectory(words);
  return { status: await ended, ...texts };
}

function folderOf(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'zos-backup-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The keys are copied apart from what a directory keeps. */
function copyKeys(from: string, to: string): void {
  for (const name of ['keys', 'log.key']) cpSync(join(from, name), join(to, name));
}

test('what a running directory keeps goes to PostgreSQL and back, row by row and proof by proof', async () => {
  using first = folderOf();
  using second = folderOf();
  using third = folderOf();
  await using server = await openPostgresServer();
  const nowMs = Date.now();
  const file = join(first.path, 'backup');
  await using directory = await startDirectory(['--data', first.path]);
  const ground = await layGround(directory.client, { nowMs, count: 4 });
  const ids: string[] = [];
  const submit = async (count: number): Promise<void> => {
    const some = Array.from({ length: count }, (_, at) => smallContract(ground, nowMs, at));
    await Promise.all(some.map(async ({ carried }) => directory.client.submitContract(carried)));
    ids.push(...some.map(({ id }) => id));
  };
  await submit(300);
  // Others come while it is taken: it is as of one moment all the same.
  const [taken] = await Promise.all([
    command('backup', '--data', first.path, '--to', file),
    submit(50),
  ]);
  expect(taken).toMatchObject({ status: 0, err: '' });
  const { rows } = JSON.parse(taken.out) as { rows: number };
  expect(rows).toBeGreaterThan(900);

  const store = ['--store', await server.makeDatabase(), '--keys', second.path];
  expect(await command('restore', '--from', file, ...store)).toMatchObject({ status: 0, err: '' });
  const again = await command('restore', '--from', file, ...store);
  expect(again.status).toBe(6);
  expect(again.err).toMatch(/^There is a directory in this store; /u);

  const copy = join(second.path, 'copy');
  expect((await command('backup', ...store, '--to', copy)).status).toBe(0);
  expect(readFileSync(copy, 'utf8')).toBe(readFileSync(file, 'utf8'));
  expect((await command('restore', '--from', copy, '--data', third.path)).status).toBe(0);

  copyKeys(first.path, second.path);
  copyKeys(first.path, third.path);
  for (const words of [store, ['--data', third.path]]) {
    await using restored = await startDirectory(words);
    expect(restored.id).toBe(directory.id);
    const client = openClient({ baseUrl: restored.url });
    for (const id of ids.slice(0, 300)) expect((await client.contract(id)).id).toBe(id);
    expect((await client.nodes({})).items).toHaveLength(4);
    // It goes on from there, with numbers that nobody has yet.
    const { carried, id } = smallContract(ground, nowMs, 1);
    await client.submitContract(carried);
    expect((await client.contract(id)).state).toBe('reserved');
    const proof = async (digest: string) =>
      promisify(execFile)('curl', ['-sf', `${restored.url}/record/proof/${digest}`]);
    expect((await proof(ids[0] ?? '')).stdout).toMatch(/^c2sp\.org\/tlog-proof@v1\n/u);
    await expect.poll(async () => (await proof(id)).stdout, { timeout: 60_000 }).toContain('index');
  }
}, 240_000);

test('a backup that is cut off, altered or of something else is refused before anything is written', async () => {
  using folder = folderOf();
  using other = folderOf();
  const file = join(folder.path, 'backup');
  const running = await startDirectory(['--data', folder.path]);
  await layGround(running.client, { nowMs: Date.now(), count: 2 });
  await running.end('SIGTERM');
  expect((await command('backup', '--data', folder.path, '--to', file)).status).toBe(0);
  const good = readFileSync(file, 'utf8');
  const bad = join(folder.path, 'bad');
  for (const text of [
    good.slice(0, -1),
    good.slice(0, good.length / 2),
    good.replace('"farmer-farm"', '"farmer-frm"'),
    good.replace(/^.*\n/u, ''),
    `${good}${good}`,
    good.replace(/"schema":\d+/u, '"schema":1'),
    '',
  ]) {
    writeFileSync(bad, text);
    const said = await command('restore', '--from', bad, '--data', other.path);
    expect(said.status).toBe(7);
    expect(said.err.trimEnd().split('\n')).toHaveLength(1);
  }
  expect((await command('backup', '--data', other.path, '--to', bad)).status).toBe(6);
  expect((await command('backup', '--data', folder.path)).status).toBe(2);
  expect((await command('restore', '--from', file, '--data', other.path)).status).toBe(0);
}, 120_000);
