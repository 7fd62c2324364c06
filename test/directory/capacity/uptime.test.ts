import { expect, test } from 'vitest';
import { saidWindows, WINDOW_MS, windowAt } from '../../../src/capacity/uptime.ts';
import { signEnvelope } from '../../../src/identity/envelope.ts';
import { DAY_MS, MINUTE_MS } from '../../../src/lib/units.ts';
import { GRID, type Person } from '../../support/contracts.ts';
import { joinNode, openDirectory, type TestDirectory } from '../../support/directory.ts';
import { makeFarmer } from '../../support/identity/farm.ts';

let seq = 0;

async function beat(
  directory: TestDirectory,
  node: Person,
  life: number | { readonly uptimeMs: number; readonly isAsleep: true },
): Promise<void> {
  seq += 1;
  const heartbeat = {
    grid: GRID,
    node: node.id,
    seq,
    atMs: directory.clock.nowMs,
    bootId: 'test',
    memory: { totalBytes: 1, availableBytes: 1 },
    system: null,
    addresses: [],
    stages: [],
    keyKept: 'disk',
    agentStarts: 1,
    ...(typeof life === 'number' ? { uptimeMs: life } : life),
  };
  await directory.client.putHeartbeat(signEnvelope('heartbeat', heartbeat, node.keys.signing));
}

/** So many minutes pass at the directory, which looks at its clock in each. */
async function pass(directory: TestDirectory, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    directory.clock.nowMs += MINUTE_MS;
    await directory.store.sweep(directory.clock.nowMs);
  }
}

async function uptimeOf(directory: TestDirectory, node: Person) {
  return (await directory.client.node(node.id)).uptime;
}

test('windows are counted once, however much a node says in them, and its silence is seen', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  await pass(directory, 60);
  expect(await uptimeOf(directory, node)).toBeNull();
  // What was before a node's first word is not counted against it.
  for (let word = 0; word < 4; word += 1) await beat(directory, node, word);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 1, said: 0, windows: 1 });
  for (let window = 0; window < 3; window += 1) {
    await pass(directory, 5);
    await beat(directory, node, 1000);
    await beat(directory, node, 1000);
  }
  expect(await uptimeOf(directory, node)).toEqual({ heard: 4, said: 0, windows: 4 });
  await pass(directory, 30);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 4, said: 0, windows: 10 });
  const { items } = await directory.client.capacity({ isOnline: 'true' });
  expect(items).toEqual([]);
  // Back with a machine that started a minute ago: it was down, and says so.
  await beat(directory, node, MINUTE_MS);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 5, said: 0, windows: 10 });
  expect((await directory.client.capacity({ isOnline: 'true' })).items).toHaveLength(1);
});

test('a cut cable is told from a machine that is down, by what the node signs', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  await pass(directory, 5);
  await beat(directory, node, DAY_MS);
  await pass(directory, 25);
  await beat(directory, node, DAY_MS);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 2, said: 4, windows: 6 });
});

test('sleep that a node announced counts neither for it nor against it', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  await pass(directory, 1);
  await beat(directory, node, 1000);
  await pass(directory, 5);
  await beat(directory, node, { uptimeMs: 1000, isAsleep: true });
  const before = await uptimeOf(directory, node);
  expect(before).toEqual({ heard: 2, said: 0, windows: 2 });
  await pass(directory, 60);
  expect(await uptimeOf(directory, node)).toEqual(before);
  // Woken; from here on its silence counts again.
  await beat(directory, node, 1000);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 3, said: 0, windows: 3 });
  await pass(directory, 10);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 3, said: 0, windows: 5 });
});

test('a directory that was away takes nothing from the uptime of its nodes', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  await pass(directory, 1);
  await beat(directory, node, 1000);
  directory.clock.nowMs += 10 * WINDOW_MS;
  await pass(directory, 1);
  await beat(directory, node, 1000);
  expect(await uptimeOf(directory, node)).toEqual({ heard: 2, said: 0, windows: 2 });
});

test('after thirty days only those are counted', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  await pass(directory, 1);
  await beat(directory, node, 1000);
  for (let day = 0; day < 31; day += 1) {
    directory.clock.nowMs += DAY_MS;
    await pass(directory, 1);
    if (day < 20) await beat(directory, node, 1000);
  }
  expect(await uptimeOf(directory, node)).toEqual({ heard: 19, said: 0, windows: 30 });
});

test('a node never says more windows than went by, than it is up, or than a day has', () => {
  expect(saidWindows({ window: 10, before: undefined, uptimeMs: DAY_MS })).toBe(0);
  expect(saidWindows({ window: 10, before: 10, uptimeMs: DAY_MS })).toBe(0);
  expect(saidWindows({ window: 10, before: 9, uptimeMs: DAY_MS })).toBe(0);
  expect(saidWindows({ window: 10, before: 4, uptimeMs: 2 * WINDOW_MS })).toBe(2);
  expect(saidWindows({ window: 10_000, before: 4, uptimeMs: 30 * DAY_MS })).toBe(288);
  expect(windowAt(WINDOW_MS - 1)).toBe(0);
  expect(windowAt(WINDOW_MS)).toBe(1);
});
