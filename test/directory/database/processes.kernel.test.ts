import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange } from '../../../src/host/http.ts';
import { SECOND_MS } from '../../../src/lib/units.ts';
import { GRID } from '../../support/contracts.ts';
import {
  type DirectoryProcess,
  type Ground,
  launchDirectory,
  layGround,
  smallContract,
  startDirectory,
} from '../../support/store/directory-process.ts';
import { openPostgresServer, type Postgres } from '../../support/store/postgres.ts';

let server: Postgres;
beforeAll(async () => {
  server = await openPostgresServer();
}, 300_000);
afterAll(async () => server[Symbol.asyncDispose](), 60_000);

type Shared = Disposable & {
  readonly words: readonly string[];
  readonly start: () => Promise<DirectoryProcess>;
};

/** What processes of one directory share: its database and its keys. */
async function openShared(): Promise<Shared> {
  const keys = mkdtempSync(join(tmpdir(), 'zos-keys-'));
  const words = ['--store', await server.makeDatabase(), '--keys', keys];
  return {
    words,
    start: async () => startDirectory(words),
    [Symbol.dispose]: () => rmSync(keys, { recursive: true }),
  };
}

type Load = {
  readonly accepted: ReadonlySet<string>;
  readonly end: () => Promise<void>;
};

/** Clients that send contracts, each again to the next directory until one takes it. */
function load(directories: readonly DirectoryProcess[], ground: Ground): Load {
  const accepted = new Set<string>();
  const nowMs = Date.now();
  const ending = new AbortController();
  let count = 0;
  const run = async (first: number): Promise<void> => {
    while (!ending.signal.aborted) {
      const { carried, id } = smallContract(ground, nowMs, (count += 1));
      for (let turn = first; !accepted.has(id); turn += 1) {
        const directory = directories[turn % directories.length] as DirectoryProcess;
        // One that is sent again counts once, so a lost answer costs nothing but a question more.
        await directory.client.submitContract(carried).then(
          () => accepted.add(id),
          async () => sleep(20),
        );
      }
    }
  };
  const clients = Array.from({ length: 8 }, async (_, at) => run(at));
  return {
    accepted,
    end: async () => {
      ending.abort();
      await Promise.all(clients);
    },
  };
}

/** Every contract that can be read, page by page. */
async function contractsOf({ client }: DirectoryProcess): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: number | null = 0; cursor !== null;) {
    const page = await client.contracts({ cursor, limit: 200 });
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  }
  return ids;
}

async function until(isThere: () => boolean | Promise<boolean>, waitMs: number): Promise<void> {
  const endMs = Date.now() + waitMs;
  while (!(await isThere())) {
    if (Date.now() > endMs) throw new Error('It did not come.');
    await sleep(50);
  }
}

test('of two directories under load one is killed, and clients carry on with the other', async () => {
  using shared = await openShared();
  await using first = await shared.start();
  await using second = await shared.start();
  expect(second.id).toBe(first.id);
  const ground = await layGround(first.client, { nowMs: Date.now(), count: 8 });
  const { accepted, end } = load([first, second], ground);
  await until(() => accepted.size > 100, 60 * SECOND_MS);
  await first.end('SIGKILL');
  const atKill = accepted.size;
  await until(() => accepted.size > atKill + 100, 60 * SECOND_MS);
  await end();
  const ids = await contractsOf(second);
  expect(new Set(ids).isSupersetOf(accepted)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  // The record's sequencer was in one of them; what was accepted is published all the same.
  const proven = async (id: string) =>
    (await exchange({ url: `${second.url}/record/proof/${id}` })).status === 200;
  for (const id of accepted) await until(async () => proven(id), 30 * SECOND_MS);
}, 240_000);

test('one that stands still in the middle holds up the other for seconds, not for ever', async () => {
  using shared = await openShared();
  await using first = await shared.start();
  await using second = await shared.start();
  const ground = await layGround(first.client, { nowMs: Date.now(), count: 8 });
  const { accepted, end } = load([first], ground);
  await until(() => accepted.size > 20, 60 * SECOND_MS);
  first.child.kill('SIGSTOP');
  const sent = smallContract(ground, Date.now(), 7);
  const submit = async () =>
    second.client.submitContract(sent.carried).then(
      () => true,
      () => false,
    );
  await until(submit, 30 * SECOND_MS);
  const isProven = async () =>
    (await exchange({ url: `${second.url}/record/proof/${sent.id}` })).status === 200;
  await until(isProven, 30 * SECOND_MS);
  first.child.kill('SIGCONT');
  const before = accepted.size;
  await until(() => accepted.size > before + 20, 60 * SECOND_MS);
  await end();
  expect(new Set(await contractsOf(second)).isSupersetOf(accepted)).toBe(true);
}, 240_000);

test('what one process takes wakes who waits at the other', async () => {
  using shared = await openShared();
  await using first = await shared.start();
  await using second = await shared.start();
  const ground = await layGround(first.client, { nowMs: Date.now(), count: 1 });
  const { carried, id, node } = smallContract(ground, Date.now(), 0);
  const signing = {
    grid: GRID,
    node: node.id,
    signer: node.keys.signing,
    nowMs: () => Date.now(),
  };
  const before = await second.client.wants(signing, {});
  if (before === null) throw new Error('There are no wants.');
  const waiting = second.client.wants(signing, { after: before.revision, waitMs: 20_000 });
  await first.client.submitContract(carried);
  const startedMs = performance.now();
  const after = await waiting;
  expect(after?.contracts).toHaveLength(1);
  // Long before the question would have ended by itself.
  expect(performance.now() - startedMs).toBeLessThan(10 * SECOND_MS);
  expect((await second.client.contract(id)).state).toBe('reserved');
}, 120_000);

test('a database that goes away: writes fail clearly, the rest is there, and it goes on by itself', async () => {
  using shared = await openShared();
  await using directory = await shared.start();
  const { client } = directory;
  const ground = await layGround(client, { nowMs: Date.now(), count: 8 });
  const { accepted, end } = load([directory], ground);
  await until(() => accepted.size > 50, 60 * SECOND_MS);
  await server.stop('SIGKILL');
  try {
    const { carried } = smallContract(ground, Date.now(), 3);
    await expect(client.submitContract(carried)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(client.nodes({})).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect((await client.grid()).grid).toBe(GRID);
  } finally {
    await server.start();
  }
  const before = accepted.size;
  await until(() => accepted.size > before + 50, 60 * SECOND_MS);
  await end();
  expect(new Set(await contractsOf(directory)).isSupersetOf(accepted)).toBe(true);
}, 240_000);

test('a directory with other keys, and one of another grid, is refused by the database', async () => {
  using shared = await openShared();
  await using first = await shared.start();
  const store = shared.words[1] as string;
  const other = mkdtempSync(join(tmpdir(), 'zos-keys-'));
  const words = ['--listen', '127.0.0.1:0', '--store', store, '--keys', other];
  const strange = launchDirectory([...words, '--grid', GRID]);
  expect(await strange.ended).toBe(5);
  expect(strange.texts.err).toMatch(/^This database was begun with other keys; /u);
  const foreign = launchDirectory([...words, '--grid', 'else']);
  expect(await foreign.ended).toBe(4);
  expect(foreign.texts.err).toMatch(/^This database is of the grid test, /u);
  const nowhere = ['--store', 'postgres:///none?host=/nowhere&user=nobody'];
  const lost = launchDirectory([
    ...words.slice(0, 2),
    ...nowhere,
    ...words.slice(4),
    '--grid',
    GRID,
  ]);
  expect(await lost.ended).toBe(6);
  const told = ['--store', 'postgres://me:secret@localhost/zos'];
  const loud = launchDirectory([...words.slice(0, 2), ...told, ...words.slice(4), '--grid', GRID]);
  expect(await loud.ended).toBe(2);
  expect(loud.texts.err).not.toContain('secret');
  expect((await first.client.grid()).grid).toBe(GRID);
  rmSync(other, { recursive: true });
}, 120_000);
