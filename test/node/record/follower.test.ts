import { expect, test } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { openFollower } from '../../../src/node/record/follower.ts';
import type { ProveGrowth, RecordWatch } from '../../../src/node/record/watch.ts';
import { type Client, DirectoryError } from '../../../src/sdk/index.ts';

/** A follower over a watch that only writes down what it is told. */
function open(growth: () => Promise<readonly string[]>) {
  const told: string[] = [];
  const clock = { nowMs: 0 };
  const watch = {
    name: () => ({ size: 0, root: '', seq: 0, alarm: null }),
    follow: async () => void told.push('follow'),
    miss: async () => void told.push('miss'),
    settle: async (prove: ProveGrowth) => {
      told.push(`settle ${JSON.stringify(await prove(1, 2))}`);
    },
  } as unknown as RecordWatch;
  const client = { growth: async () => ({ proof: await growth() }) } as unknown as Client;
  const follower = openFollower({
    watch,
    directory: {
      call: async (work) => work(client),
      client: () => client,
      url: () => 'http://directory.test',
      skip: () => undefined,
    },
    steady: () => clock.nowMs,
    onTrouble: (what) => void told.push(`trouble ${what}`),
  });
  return { told, clock, follower };
}

test('wants without an answered heartbeat for three minutes are missed heads, and an absence is none', async () => {
  const { told, clock, follower } = open(async () => ['hash']);
  clock.nowMs = 10 * MINUTE_MS;
  await follower.look();
  expect(told).toEqual([]);
  await follower.hear(null);
  clock.nowMs += 10 * MINUTE_MS;
  await follower.look();
  expect(told).toEqual(['follow', 'settle ["hash"]']);
  clock.nowMs += 3 * MINUTE_MS;
  await follower.look();
  expect(told.at(-1)).toBe('miss');
});

test('the directory is silent until a heartbeat is answered, and when two were not', async () => {
  const { clock, follower } = open(async () => []);
  expect(follower.isSilent()).toBe(true);
  await follower.hear(null);
  expect(follower.isSilent()).toBe(false);
  clock.nowMs += 65 * SECOND_MS;
  expect(follower.isSilent()).toBe(true);
});

test('a proof is asked for again while the directory has trouble, but not for ever', async () => {
  let status = 503;
  const { told, follower } = open(async () => {
    throw new DirectoryError('STORE_FAILED', 'Later.', { facts: { status } });
  });
  for (let tries = 0; tries < 6; tries += 1) await follower.settle();
  expect(told).toEqual([...Array<string>(5).fill('trouble record'), 'settle null']);
  status = 404;
  const final = open(async () => {
    throw new DirectoryError('NOT_FOUND', 'Never.', { facts: { status } });
  });
  await final.follower.settle();
  expect(final.told).toEqual(['settle null']);
});
