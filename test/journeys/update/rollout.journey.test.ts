import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { askBot } from '../../../boot/grid/bot.ts';
import type { GridEvent } from '../../../boot/grid/event.ts';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import type { GridNode } from '../../../boot/grid/node.ts';
import { buildEnvironment, buildImage } from '../../../boot/grid/release.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { heartbeatThat } from '../../support/grid.ts';
import { openPublisher } from '../../support/update/release.ts';
import { openSystemMaker } from '../../support/update/system.ts';

// Four machines of one farm, and a release whose agent crashes: rolled out to a quarter at a time.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
/** Four machines at once make each of them slow. */
const STEP_MS = 20 * MINUTE_MS;
const NODES = 4;

const stack = new AsyncDisposableStack();
let grid: Grid;
let old = '';
let bad = '';

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-rollout-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const build = {
    root: ROOT,
    env: buildEnvironment(process.env),
    onEvent: ({ subject, state, text }: GridEvent) => console.log(`${subject}: ${state}: ${text}`),
    signal: AbortSignal.timeout(BOOT_MS),
  };
  // Before the machines start: together they take all that this one has.
  await buildImage(build);
  const systems = await openSystemMaker(ROOT, join(folder, 'systems'));
  const badPath = await systems.make('crash', 1);
  grid = stack.use(
    await openGrid({
      ...build,
      name: 'rollout',
      nodes: NODES,
      memoryMiB: 512,
      diskMiB: 256,
      folder: join(folder, 'grid'),
      hasOwnRelease: true,
      onConsole: (node, { text }) => {
        if (/zos: (?:agent update|init)/u.test(text)) console.log(`${node}: ${text}`);
      },
    }),
  );
  await grid.bot.zos({ args: ['farm', 'updates', '--window', 'always', '--share', '25%'] });
  const [first] = await Promise.all(grid.nodes.map(heartbeatOf));
  old = first?.system ?? '';
  const publisher = openPublisher(ROOT, grid.releasePath);
  bad = await publisher.publish('system.erofs', badPath);
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, STEP_MS);

test(
  'a bad release is tried by one node of four, which comes back, and the others never switch',
  async () => {
    const tried = await Promise.race(grid.nodes.map(async (node) => hasMarkedBad(node)));
    const others = grid.nodes.filter(({ id }) => id !== tried.id);
    const because = `node ${tried.id.slice(0, 10)}: it ended with status 7`;
    const stopped = `${bad.slice(0, 10)} is stopped: ${because}`;
    for (const { guest } of others) {
      const waits = new RegExp(`update waits with system ${bad}: ${stopped}`, 'u');
      await guest.waitFor(waits, STEP_MS);
    }
    const switches = grid.nodes.flatMap(({ name, guest }) =>
      guest.lines.flatMap(({ text }) => (text.includes('update goes to system') ? [name] : [])),
    );
    expect(switches).toEqual([tried.name]);
    for (const node of grid.nodes) expect((await heartbeatOf(node)).system).toBe(old);
    expect((await heartbeatOf(tried)).systemBad).toMatchObject([{ sha256: bad, what: 'system' }]);
  },
  STEP_MS,
);

const updatesSchema = z.object({
  atOnce: z.number(),
  releases: z.array(
    z.object({
      release: z.string(),
      stopped: z.string().nullable(),
      nodes: z.array(z.object({ node: z.string(), state: z.string(), because: z.string() })),
    }),
  ),
});

test('the farmer sees which node found it bad and why, and what to do next', async () => {
  const told = await grid.bot.zos({ args: ['farm', 'updates'] });
  console.log(told);
  expect(told).toMatch(/^Stopped: node [0-9a-f]{10}: it ended with status 7$/mu);
  expect(told).toContain(`\`zos farm rollout resume ${bad.slice(0, 10)}\``);
  const { atOnce, releases } = await askBot(grid.bot, ['farm', 'updates'], updatesSchema);
  const nodes = releases.find(({ release }) => release === bad)?.nodes ?? [];
  expect(atOnce).toBe(1);
  expect(nodes.map(({ state }) => state).toSorted()).toEqual(['bad', 'waits', 'waits', 'waits']);
});

async function hasMarkedBad(node: GridNode): Promise<GridNode> {
  await node.guest.waitFor(new RegExp(`update marked system ${bad} bad`, 'u'), STEP_MS);
  return node;
}

/** The node's newest signed word to the directory. */
function heartbeatOf({ id }: GridNode): Promise<Heartbeat> {
  return heartbeatThat(grid, { node: id, isSo: () => true, deadlineMs: STEP_MS });
}
