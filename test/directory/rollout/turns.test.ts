import { expect, test } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '../../../src/lib/units.ts';
import type { Person } from '../../support/contracts.ts';
import { openDirectory } from '../../support/directory.ts';
import { markOf, NEW, OLD, openFarm, short } from './farm.ts';

type Four = [Person, Person, Person, Person];

test('one node after the other, each when the one before runs the new release', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat, turns } = await openFarm(directory, 4);
  const [a, b] = nodes as Four;
  await sign();
  expect(short(await ask(a))).toBe('goes');
  expect(short(await ask(b))).toBe('SHARE_TAKEN: 1 of 1 at a time are at it');
  await beat(a);
  expect(short(await ask(b))).toContain('SHARE_TAKEN');
  await beat(a, { system: NEW });
  expect(short(await ask(b))).toBe('goes');
  expect((await turns()).map(({ node, state }) => [node, state])).toEqual(
    expect.arrayContaining([
      [a.id, 'good'],
      [b.id, 'open'],
    ]),
  );
});

test('the first bad one stops its release in its farm until the farmer says otherwise', async () => {
  await using directory = await openDirectory();
  const farm = await openFarm(directory, 4);
  const stranger = await openFarm(directory, 1);
  const { nodes, sign, ask, beat } = farm;
  const [a, b, c, d] = nodes as Four;
  await sign();
  await ask(a);
  await beat(a, { system: NEW });
  await ask(b);
  await beat(b, { bad: [markOf(directory.clock, 1)] });
  const because = `node ${b.id.slice(0, 10)}: the agent ended with status 1 three times`;
  const stopped = `STOPPED: ${NEW.slice(0, 10)} is stopped: ${because}`;
  for (const node of [c, d]) expect(short(await ask(node))).toBe(stopped);
  directory.clock.nowMs += 24 * HOUR_MS;
  expect(short(await ask(c))).toBe(stopped);
  expect(short(await ask(c, { to: '22'.repeat(32) }))).toBe('goes');
  expect(short(await stranger.ask(stranger.nodes[0] as Person))).toBe('goes');
  await beat(c, { system: '22'.repeat(32) });
  await sign({ version: 2, sharePercent: 100 });
  expect(short(await ask(d))).toBe(stopped);
  await sign({ version: 3, forgiven: [{ release: NEW, version: 3 }] });
  expect(short(await ask(d))).toBe('goes');
  expect((await farm.turns()).find(({ node }) => node === b.id)).toMatchObject({
    state: 'bad',
    isForgiven: true,
  });
});

test('a node that tried again and failed again stops it again, though it was forgiven once', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat } = await openFarm(directory, 4);
  const [a, b, c] = nodes as Four;
  await sign();
  await ask(a);
  await beat(a, { bad: [markOf(directory.clock, 1)] });
  const forgiven = [{ release: NEW, version: 2 }];
  await sign({ version: 2, forgiven });
  // Its old word is still on its way: it was forgiven, and does not count.
  await beat(a, { bad: [markOf(directory.clock, 1)] });
  expect(short(await ask(b))).toBe('goes');
  await beat(b, { bad: [markOf(directory.clock, 2)] });
  expect(short(await ask(c))).toContain(`node ${b.id.slice(0, 10)}`);
});

test('a node that does not come back in time stops it', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat } = await openFarm(directory, 4);
  const [a, b] = nodes as Four;
  const { clock, store } = directory;
  await store.sweep(clock.nowMs);
  await sign();
  await beat(a);
  await ask(a);
  clock.nowMs += 5 * MINUTE_MS - 1;
  await store.sweep(clock.nowMs);
  expect(short(await ask(b))).toContain('SHARE_TAKEN');
  clock.nowMs += 1;
  await store.sweep(clock.nowMs);
  expect(short(await ask(b))).toContain(`node ${a.id.slice(0, 10)}: it did not come back`);
  // Its word after that changes nothing: a person looks first.
  await beat(a, { system: NEW });
  expect(short(await ask(b))).toContain('STOPPED');
});

test('a node that is there and still runs the old one is no success either', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat } = await openFarm(directory, 4);
  const [a, b] = nodes as Four;
  const { clock, store } = directory;
  await store.sweep(clock.nowMs);
  await sign();
  await ask(a);
  clock.nowMs += 5 * MINUTE_MS;
  await beat(a, { system: OLD });
  await store.sweep(clock.nowMs);
  expect(short(await ask(b))).toContain('it still ran the release before when its time was over');
});

test('the next node waits while the one before may still go back by itself', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat } = await openFarm(directory, 4);
  const [a, b] = nodes as Four;
  await sign();
  await ask(a);
  await beat(a, { system: NEW, isOnTrial: true });
  expect(short(await ask(b))).toContain('SHARE_TAKEN');
  await beat(a, { bad: [markOf(directory.clock, 1)] });
  expect(short(await ask(b))).toContain(`node ${a.id.slice(0, 10)}`);
});

test('outside of the window nobody gets a turn, and the farmer can stop a release', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask } = await openFarm(directory, 2);
  const [a, b] = nodes as Four;
  // The clock shows a Saturday at noon.
  await sign({ window: { days: ['sun'], startMinute: 120, lengthMinutes: 180 } });
  expect(short(await ask(a))).toBe(
    'WINDOW_CLOSED: outside of the window Sun 02:00-05:00 UTC, opens in 14 h 0 min',
  );
  directory.clock.nowMs += 14 * HOUR_MS;
  expect(short(await ask(a))).toBe('goes');
  await sign({ version: 2, stopped: [NEW] });
  expect(short(await ask(b))).toBe(`STOPPED_BY_FARMER: the farmer stopped ${NEW.slice(0, 10)}`);
});

test('with no policy nodes change in place one by one, and none restarts', async () => {
  await using directory = await openDirectory();
  const { nodes, ask } = await openFarm(directory, 3);
  const [a, b] = nodes as Four;
  expect(short(await ask(a, { what: 'kernel' }))).toContain('NO_WINDOW');
  expect(short(await ask(a))).toBe('goes');
  expect(short(await ask(b))).toBe('SHARE_TAKEN: 1 of 1 at a time are at it');
});

test('a directory that was away gives nodes the time to speak before it judges them', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat, turns } = await openFarm(directory, 2);
  const [a] = nodes as Four;
  await sign();
  await ask(a);
  directory.clock.nowMs += HOUR_MS;
  // The first sweep of a process is the one after it was away.
  await directory.store.sweep(directory.clock.nowMs);
  directory.clock.nowMs += MINUTE_MS;
  await directory.store.sweep(directory.clock.nowMs);
  expect((await turns())[0]?.state).toBe('open');
  await beat(a, { system: NEW });
  expect((await turns())[0]?.state).toBe('good');
});

test('a node is at one release at a time: asking for the next, it leaves the one before', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, turns } = await openFarm(directory, 4);
  const [a, b, c] = nodes as Four;
  await sign({ sharePercent: 50 });
  await ask(a, { to: '22'.repeat(32) });
  expect(short(await ask(a))).toBe('goes');
  expect(short(await ask(b))).toBe('goes');
  expect(short(await ask(c))).toBe('SHARE_TAKEN: 2 of 2 at a time are at it');
  expect((await turns()).map(({ state }) => state).toSorted()).toEqual([
    'left',
    'open',
    'open',
    'waiting',
  ]);
});

test('who found a release bad takes that back neither by asking again nor by its numbers', async () => {
  await using directory = await openDirectory();
  const { nodes, sign, ask, beat } = await openFarm(directory, 4);
  const [a, b] = nodes as Four;
  await sign();
  // It says that it judged by a policy that nobody signed yet, so that none could forgive it.
  await beat(a, { bad: [markOf(directory.clock, 99)] });
  expect(short(await ask(a))).toContain('STOPPED');
  expect(short(await ask(b))).toContain(`node ${a.id.slice(0, 10)}`);
  await sign({ version: 2, forgiven: [{ release: NEW, version: 2 }] });
  expect(short(await ask(b))).toBe('goes');
});
