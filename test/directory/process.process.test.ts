import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openClient } from '../../src/sdk/index.ts';
import { GRID } from '../support/contracts.ts';
import {
  type Ground,
  launchDirectory,
  layGround,
  smallContract,
  startDirectory,
} from '../support/store/directory-process.ts';

function folderOf(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'zos-directory-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('what was accepted is there after kill -9, whenever it strikes', async () => {
  using folder = folderOf();
  const nowMs = Date.now();
  const accepted = new Set<string>();
  let ground: Ground | undefined;
  for (let round = 0; round < 4; round += 1) {
    await using running = await startDirectory(['--data', folder.path]);
    const { client, child } = running;
    ground ??= await layGround(client, { nowMs, count: 1 });
    for (const id of accepted) expect((await client.contract(id)).versions).toHaveLength(1);
    const before = accepted.size;
    const asks = Array.from({ length: 20 }, async (_, at) => {
      const { carried, id } = smallContract(ground as Ground, nowMs, at);
      await client.submitContract(carried);
      accepted.add(id);
      // Others are under way at this moment; the answered ones are what counts.
      if (accepted.size === before + 3) child.kill('SIGKILL');
    });
    await Promise.allSettled(asks);
    expect(accepted.size).toBeGreaterThanOrEqual(before + 3);
  }
  await using running = await startDirectory(['--data', folder.path]);
  const { items } = await running.client.contracts({ limit: 200 });
  expect(new Set(items.map(({ id }) => id)).isSupersetOf(accepted)).toBe(true);
}, 120_000);

test('its identity is made once, for its owner alone, and stays', async () => {
  using folder = folderOf();
  const first = await startDirectory(['--data', folder.path]);
  expect(statSync(join(folder.path, 'keys')).mode & 0o777).toBe(0o600);
  expect(await first.end('SIGTERM')).toBe(0);
  const second = await startDirectory(['--data', folder.path]);
  expect(second.id).toBe(first.id);
  expect(await second.end('SIGINT')).toBe(0);
  chmodSync(join(folder.path, 'keys'), 0o644);
  const exposed = launchDirectory([
    '--listen',
    '127.0.0.1:0',
    '--grid',
    GRID,
    '--data',
    folder.path,
  ]);
  expect(await exposed.ended).toBe(5);
  expect(exposed.texts.err).toMatch(/^Others may read .*keys; run "chmod 600" on it first\.\n$/u);
}, 300_000);

test('a start that cannot be says why in one sentence, and leaves the other alone', async () => {
  using folder = folderOf();
  using other = folderOf();
  await using running = await startDirectory(['--data', folder.path]);
  const { host } = new URL(running.url);
  const cases: [string[], number, RegExp][] = [
    [['--listen', host, '--grid', GRID, '--data', other.path], 3, /^Port \d+ is in use; /u],
    [
      ['--listen', '127.0.0.1:0', '--grid', GRID, '--data', folder.path],
      4,
      /^Another directory runs /u,
    ],
    [
      ['--listen', '127.0.0.1:0', '--grid', 'else', '--data', other.path],
      4,
      /is of the grid test/u,
    ],
    [['--listen', '192.0.2.1:1', '--grid', GRID, '--data', other.path], 3, /can't be listened on/u],
    [['--listen', '127.0.0.1:0', '--grid', GRID, '--data', '/proc/none'], 5, /can't be used; /u],
    [
      ['--listen', 'nowhere', '--grid', GRID, '--data', other.path],
      2,
      /^Use: directory --listen /u,
    ],
    [['--lissten', '127.0.0.1:0'], 2, /Use: directory --listen /u],
  ];
  for (const [args, status, sentence] of cases) {
    const { ended, texts } = launchDirectory(args);
    expect({ args, status: await ended }).toEqual({ args, status });
    expect(texts.err).toMatch(sentence);
    expect(texts.err.trimEnd().split('\n')).toHaveLength(1);
    expect(texts.out).toBe('');
  }
  expect((await openClient({ baseUrl: running.url }).grid()).grid).toBe(GRID);
}, 120_000);
