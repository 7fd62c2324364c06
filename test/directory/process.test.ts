import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { contractDigest } from '../../src/contract/sign.ts';
import { HOUR_MS } from '../../src/lib/units.ts';
import { openClient } from '../../src/sdk/index.ts';
import { GRID, makePerson } from '../support/contracts.ts';
import { contractFor, makeFarmer, makeOffer, makeToken } from '../support/directory.ts';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { untrustedPayload } from '../../src/identity/envelope.ts';

const MAIN = new URL('../../src/directory/main.ts', import.meta.url).pathname;

type Running = AsyncDisposable & {
  readonly child: ChildProcess;
  readonly url: string;
  readonly id: string;
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
};

function launch(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (part) => (texts.out += String(part)));
  child.stderr.on('data', (part) => (texts.err += String(part)));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, texts, ended };
}

async function start(folder: string): Promise<Running> {
  const args = ['--listen', '127.0.0.1:0', '--grid', GRID, '--data', folder];
  const { child, texts, ended } = launch(args);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('close', () => reject(new Error(texts.err)));
  });
  const said = JSON.parse(texts.out) as { listening: string; directory: string };
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    child,
    url: said.listening,
    id: said.directory,
    end,
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  };
}

function folderOf(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'zos-directory-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('what was accepted is there after kill -9, whenever it strikes', async () => {
  using folder = folderOf();
  const [farmer, node, tenant] = [makeFarmer(), makePerson('node'), makePerson('tenant')];
  const now = Date.now();
  const offer = makeOffer(node);
  const offerId = sha256Hex(untrustedPayload(offer, 'offer'));
  const accepted = new Set<string>();
  for (let round = 0; round < 4; round += 1) {
    await using running = await start(folder.path);
    const client = openClient({ baseUrl: running.url });
    if (round === 0) {
      await client.createFarm({ farm: farmer.farm, farmer: farmer.document });
      const token = makeToken(farmer, { notAfterMs: now + HOUR_MS });
      const farmers = farmer.document;
      await client.registerNode({ identity: node.document, token, farmer: farmers, offer });
    }
    for (const id of accepted) expect((await client.contract(id)).versions).toHaveLength(1);
    const before = accepted.size;
    const resources = { cpuMillis: 1, memoryBytes: 1, ssdBytes: 0 };
    const times = { notBeforeMs: now - HOUR_MS, notAfterMs: now + HOUR_MS };
    const asks = Array.from({ length: 20 }, async () => {
      const carried = contractFor(tenant, { ...node, offerId }, { resources, ...times });
      await client.submitContract(carried);
      accepted.add(contractDigest(carried.contract));
      // Others are under way at this moment; the answered ones are what counts.
      if (accepted.size === before + 3) running.child.kill('SIGKILL');
    });
    await Promise.allSettled(asks);
    expect(accepted.size).toBeGreaterThanOrEqual(before + 3);
  }
  await using running = await start(folder.path);
  const client = openClient({ baseUrl: running.url });
  const { items } = await client.contracts({ tenant: tenant.id, limit: 200 });
  expect(new Set(items.map(({ id }) => id)).isSupersetOf(accepted)).toBe(true);
}, 120_000);

test('its identity is made once, for its owner alone, and stays', async () => {
  using folder = folderOf();
  const first = await start(folder.path);
  expect(statSync(join(folder.path, 'keys')).mode & 0o777).toBe(0o600);
  expect(await first.end('SIGTERM')).toBe(0);
  const second = await start(folder.path);
  expect(second.id).toBe(first.id);
  expect(await second.end('SIGINT')).toBe(0);
  chmodSync(join(folder.path, 'keys'), 0o644);
  const exposed = launch(['--listen', '127.0.0.1:0', '--grid', GRID, '--data', folder.path]);
  expect(await exposed.ended).toBe(5);
  expect(exposed.texts.err).toMatch(/^Others may read .*keys; run "chmod 600" on it first\.\n$/u);
}, 60_000);

test('a start that cannot be says why in one sentence, and leaves the other alone', async () => {
  using folder = folderOf();
  using other = folderOf();
  await using running = await start(folder.path);
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
    const { ended, texts } = launch(args);
    expect({ args, status: await ended }).toEqual({ args, status });
    expect(texts.err).toMatch(sentence);
    expect(texts.err.trimEnd().split('\n')).toHaveLength(1);
    expect(texts.out).toBe('');
  }
  expect((await openClient({ baseUrl: running.url }).grid()).grid).toBe(GRID);
}, 120_000);
