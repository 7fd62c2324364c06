import { expect, test } from 'vitest';
import { signRequest } from '../../../src/contract/request.ts';
import type { Wants } from '../../../src/contract/wants.ts';
import { run } from '../../../src/directory/database/work.ts';
import { exchange } from '../../../src/host/http.ts';
import { HOUR_MS, MINUTE_MS } from '../../../src/lib/units.ts';
import { GRID, makePerson } from '../../support/contracts.ts';
import { joinNode, openDirectory, signingOf } from '../../support/directory.ts';
import { contractFor, freshNonce, makeFarmer } from '../../support/identity/farm.ts';

const tenant = makePerson('tenant');

async function next(feed: AsyncGenerator<Wants>): Promise<Wants> {
  const { value, done } = await feed.next();
  if (done === true) throw new Error('the feed ended');
  return value;
}

test('a change is pushed whole, and a feed resumes after what was seen', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const signing = signingOf(node, clock);
  const feed = client.feed(signing);
  const empty = await next(feed);
  expect(empty.contracts).toEqual([]);
  const first = contractFor(tenant, node);
  await client.submitContract(first);
  const one = await next(feed);
  expect(one.contracts).toMatchObject([first]);
  expect(one.revision).toBeGreaterThan(empty.revision);
  await feed.return(undefined);

  // Nothing changed since: the first thing that a resumed feed says is the next change.
  const resumed = client.feed(signing, { lastRevision: one.revision });
  const waiting = next(resumed);
  const second = contractFor(tenant, node);
  await client.submitContract(second);
  expect((await waiting).contracts).toMatchObject([first, second]);
  await resumed.return(undefined);

  const late = client.feed(signing, { lastRevision: empty.revision });
  expect((await next(late)).contracts).toMatchObject([first, second]);
  await late.return(undefined);
});

test('many changes at once come as whole wants, the last of them complete', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const feed = client.feed(signingOf(node, clock));
  await next(feed);
  const resources = { cpuMillis: 1, memoryBytes: 1, ssdBytes: 0, hddBytes: 0 };
  const all = Array.from({ length: 20 }, () => contractFor(tenant, node, { resources }));
  await Promise.all(all.map(async (carried) => client.submitContract(carried)));
  let wants = await next(feed);
  while (wants.contracts.length < all.length) wants = await next(feed);
  const sent = new Set(all.map(({ contract }) => contract.payload));
  expect(new Set(wants.contracts.map(({ contract }) => contract.payload))).toEqual(sent);
  await feed.return(undefined);
});

test('the newest feed of a node counts; the one before ends', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const signing = signingOf(node, directory.clock);
  const older = directory.client.feed(signing);
  await next(older);
  const newer = directory.client.feed(signing);
  await next(newer);
  const ended = await older.next().catch(() => ({ done: true }));
  expect(ended.done).toBe(true);
  await directory.client.submitContract(contractFor(tenant, node));
  expect((await next(newer)).contracts).toHaveLength(1);
  await newer.return(undefined);
});

test('a long-poll answers with a change, or null when none came', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const signing = signingOf(node, clock);
  const before = await client.wants(signing);
  const after = before?.revision ?? -1;
  expect(await client.wants(signing, { after, waitMs: 20 })).toBe(null);
  const waiting = client.wants(signing, { after, waitMs: 30_000 });
  const carried = contractFor(tenant, node);
  await client.submitContract(carried);
  expect((await waiting)?.contracts).toMatchObject([carried]);
  expect((await client.wants(signing, { after, waitMs: 30_000 }))?.contracts).toMatchObject([
    carried,
  ]);
});

test('closing the directory ends feeds and long-polls', async () => {
  const directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const signing = signingOf(node, directory.clock);
  const feed = directory.client.feed(signing);
  const { revision } = await next(feed);
  const poll = directory.client.wants(signing, { after: revision, waitMs: 30_000 });
  const ended = feed.next().catch(() => ({ done: true }));
  // Both have to be waiting before the end comes.
  await directory.client.grid();
  await directory[Symbol.asyncDispose]();
  expect((await ended).done).toBe(true);
  expect(await poll.catch(() => null)).toBe(null);
});

test('a directory that was closed reads and writes nothing any more', async () => {
  const directory = await openDirectory();
  const { store, database, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const reading = store.wants(node.id, clock.nowMs).catch(() => 'refused');
  await directory[Symbol.asyncDispose]();
  await reading;
  expect(await store.wants(node.id, clock.nowMs).catch(() => 'refused')).toBe('refused');
  const write = database.write(() => run('DELETE FROM questions'));
  expect(await write.catch(() => 'refused')).toBe('refused');
});

test('only the node reads what it shall have, with each signature once', async () => {
  await using directory = await openDirectory();
  const { url, clock } = directory;
  const farmer = makeFarmer();
  const [node, other] = [await joinNode(directory, farmer), await joinNode(directory, farmer)];
  const path = `/v1/nodes/${node.id}/wants`;
  const sign = (changes: Record<string, unknown> = {}, by = node) => {
    const request = { grid: GRID, method: 'GET' as const, path, atMs: clock.nowMs };
    return signRequest({ ...request, nonce: freshNonce(), ...changes }, by.keys.signing);
  };
  const ask = async (authorization?: string, target = path): Promise<unknown> => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const { status, body } = await exchange({ url: url + target, headers });
    if (status === 200) return 'let in';
    return (JSON.parse(Buffer.from(body).toString('utf8')) as { code: string }).code;
  };
  const once = sign();
  expect(await ask(once)).toBe('let in');
  expect(await ask(once)).toBe('REQUEST_REPLAYED');
  expect(await ask()).toBe('REQUEST_UNSIGNED');
  expect(await ask('Bearer x')).toBe('REQUEST_UNSIGNED');
  expect(await ask(sign({}, other))).toBe('ENVELOPE_UNTRUSTED');
  expect(await ask(sign({ grid: 'else' }))).toBe('REQUEST_FOREIGN');
  expect(await ask(sign({ path: `${path}?after=1` }))).toBe('REQUEST_FOREIGN');
  expect(await ask(sign(), `${path}?after=1`)).toBe('REQUEST_FOREIGN');
  expect(await ask(sign({ atMs: clock.nowMs - 6 * MINUTE_MS }))).toBe('REQUEST_STALE');
  expect(await ask(sign({ atMs: clock.nowMs + 6 * MINUTE_MS }))).toBe('REQUEST_STALE');
  expect(await ask(sign(), `/v1/nodes/${farmer.id}/wants`)).toBe('NOT_FOUND');
  clock.nowMs += HOUR_MS;
  expect(await ask(once)).toBe('REQUEST_STALE');
});
