import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { openDirectory, type TestDirectory } from '../../support/directory.ts';
import { type Bench, zos } from '../support/captured-terminal.ts';

function folderOf(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'zos-phonebook-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

async function openHere(folder?: string): Promise<TestDirectory> {
  const directory = await openDirectory(folder === undefined ? {} : { folder });
  directory.clock.nowMs = Date.now();
  return directory;
}

/** Somebody with a bot of their own. */
async function person(root: string, name: string, { url }: TestDirectory): Promise<Bench> {
  const bench = { homePath: join(root, name), directoryUrl: url };
  expect((await zos(bench, 'identity', 'new', '--name', name)).code).toBe(0);
  return bench;
}

async function json(bench: Bench, ...args: string[]): Promise<Record<string, unknown>> {
  const ran = await zos(bench, '--json', ...args);
  expect(ran).toMatchObject({ code: 0, err: '' });
  return JSON.parse(ran.out) as Record<string, unknown>;
}

test('a name is claimed, found with its proof, held against others, and given up', async () => {
  using root = folderOf();
  await using directory = await openHere();
  const alice = await person(root.path, 'alice', directory);
  const bob = await person(root.path, 'bob', directory);
  const { id } = await json(alice, 'identity', 'show');
  expect((await zos(alice, 'name', 'claim', 'shop')).out).toMatch(
    /^You hold shop\.\nEntry \d+ of/u,
  );
  expect(await json(bob, 'name', 'find', 'shop')).toMatchObject({ name: 'shop', id, version: 1 });
  expect(await json(alice, 'name', 'claim', 'shop')).toMatchObject({ id, version: 1 });
  const taken = await zos(bob, 'name', 'claim', 'shop');
  expect(taken).toMatchObject({ code: 3, out: '' });
  expect(taken.err).toMatch(/^zos: shop is held by [0-9a-f]{10}; choose another name\.\n$/u);
  expect((await zos(bob, 'name', 'release', 'shop')).code).toBe(2);
  expect((await zos(alice, 'name', 'release', 'shop')).code).toBe(0);
  expect((await zos(bob, 'name', 'find', 'shop')).err).toContain('Nobody holds the name shop');
  expect(await json(bob, 'name', 'claim', 'shop')).toMatchObject({ name: 'shop', version: 3 });
  expect(await json(alice, 'name', 'find', 'shop')).toMatchObject({ version: 3 });
});

test('a directory that gives a name to another is refused by who knew the name', async () => {
  using root = folderOf();
  const data = join(root.path, 'directory');
  let bob: Bench;
  {
    await using directory = await openHere(data);
    const alice = await person(root.path, 'alice', directory);
    bob = await person(root.path, 'bob', directory);
    await json(alice, 'name', 'claim', 'shop');
    await json(bob, 'name', 'find', 'shop');
  }
  const database = new DatabaseSync(join(data, 'directory.sqlite'));
  database.exec('DELETE FROM names; DELETE FROM name_claims');
  database.close();
  await using directory = await openHere(data);
  const mallory = await person(root.path, 'mallory', directory);
  await json(mallory, 'name', 'claim', 'shop');
  const found = await zos({ ...bob, directoryUrl: directory.url }, 'name', 'find', 'shop');
  expect(found).toMatchObject({ code: 3, out: '' });
  expect(found.err).toContain('another history of shop than before');
  // Whoever follows the record sees it without having known the name.
  const audit = await zos({ ...mallory, homePath: join(root.path, 'monitor') }, 'record', 'audit');
  expect(audit.code).toBe(6);
  expect(audit.err + audit.out).toContain('NAME_TAKEN');
});

test('a message is read once, by whom it was written to, with its sender proven', async () => {
  using root = folderOf();
  await using directory = await openHere();
  const alice = await person(root.path, 'alice', directory);
  const bob = await person(root.path, 'bob', directory);
  const { id } = await json(alice, 'name', 'claim', 'alice');
  const nobody = await zos({ ...bob, input: 'hello' }, 'message', 'send', 'nobody');
  expect(nobody).toMatchObject({ code: 2, out: '' });
  const sent = await zos({ ...bob, input: 'hello \u001B[31mred\n' }, 'message', 'send', 'alice');
  expect(sent).toEqual({ code: 0, err: '', out: 'Sent to alice, who alone can read it.\n' });
  const read = await zos(alice, 'message', 'read');
  expect(read.out).toMatch(/^From [0-9a-f]{10}, who goes by bob, 20.*:\nhello \uFFFD\[31mred\n$/u);
  expect((await zos(alice, 'message', 'read')).out).toBe('No message waits.\n');
  const { id: bobId } = await json(bob, 'name', 'claim', 'bob');
  await json(alice, 'name', 'find', 'bob');
  await zos({ ...bob, input: 'again' }, 'message', 'send', String(id));
  const { messages } = await json(alice, 'message', 'read');
  expect(messages).toEqual([expect.objectContaining({ from: bobId, name: 'bob', text: 'again' })]);
  const empty = await zos(bob, 'message', 'send', 'alice');
  expect(empty.code).toBe(2);
});

test('a directory that delivers a message twice shows it once', async () => {
  using root = folderOf();
  const data = join(root.path, 'directory');
  let alice: Bench;
  {
    await using directory = await openHere(data);
    alice = await person(root.path, 'alice', directory);
    const bob = await person(root.path, 'bob', directory);
    await json(alice, 'name', 'claim', 'alice');
    await zos({ ...bob, input: 'pay 10' }, 'message', 'send', 'alice');
  }
  const database = new DatabaseSync(join(data, 'directory.sqlite'));
  const row = database.prepare('SELECT * FROM messages').get() ?? {};
  {
    database.close();
    await using directory = await openHere(data);
    alice = { ...alice, directoryUrl: directory.url };
    expect((await zos(alice, 'message', 'read')).out).toContain('pay 10');
  }
  const again = new DatabaseSync(join(data, 'directory.sqlite'));
  const columns = Object.keys(row).filter((column) => column !== 'seq');
  again
    .prepare(`INSERT INTO messages (${columns.join()}) VALUES (${columns.map(() => '?').join()})`)
    .run(...columns.map((column) => row[column] ?? null));
  again.close();
  await using directory = await openHere(data);
  const replayed = await zos({ ...alice, directoryUrl: directory.url }, 'message', 'read');
  expect(replayed.out).toBe('No message waits.\n');
  expect(replayed.err).toContain('MESSAGE_REPLAYED');
});

test('a name stays with who holds it when keys change, and letters go to the new keys', async () => {
  using root = folderOf();
  await using directory = await openHere();
  const alice = await person(root.path, 'alice', directory);
  const bob = await person(root.path, 'bob', directory);
  const { id } = await json(alice, 'name', 'claim', 'alice');
  await json(bob, 'name', 'find', 'alice');
  expect((await zos({ ...bob, input: 'before' }, 'message', 'send', 'alice')).code).toBe(0);
  expect((await zos(bob, 'identity', 'rotate')).err).toBe('');
  const { messages: doubtful } = await json(alice, 'message', 'read');
  expect(doubtful).toEqual([expect.objectContaining({ text: 'before', isOutdated: true })]);
  expect((await zos(alice, 'identity', 'rotate')).err).toBe('');
  expect(await json(bob, 'name', 'find', 'alice')).toMatchObject({ id, version: 1 });
  expect((await zos({ ...bob, input: 'after' }, 'message', 'send', 'alice')).code).toBe(0);
  const { messages } = await json(alice, 'message', 'read');
  expect(messages).toEqual([expect.objectContaining({ text: 'after', isOutdated: false })]);
  expect((await zos(alice, 'name', 'release', 'alice')).code).toBe(0);
  const audit = await zos({ ...bob, homePath: join(root.path, 'monitor') }, 'record', 'audit');
  expect(audit).toMatchObject({ code: 0, err: '' });
});
