import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import type { ConsoleLine } from '../../../boot/lab/guest.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import { MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { type Door, makeDoorFirstStage, openDoor } from '../../support/door.ts';
import { heartbeatThat, lineAfter as findLine } from '../../support/grid.ts';
import { deployLasting, type LastingContainer } from '../../support/update/lasting.ts';
import { openPublisher, type Publisher } from '../../support/update/release.ts';
import { type Fault, openSystemMaker, type SystemMaker } from '../../support/update/system.ts';

// One machine with as little memory as there may be, a container on it, and one release after the
// other: a good one, and four that are bad, each in another way.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
/** What the directory does not hear of is given up after three minutes at most. */
const STEP_MS = 10 * MINUTE_MS;

const stack = new AsyncDisposableStack();
let grid: Grid;
let door: Door;
let systems: SystemMaker;
let publisher: Publisher;
let container: LastingContainer;
let good = '';

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-update-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  grid = stack.use(
    await openGrid({
      root: ROOT,
      name: 'update',
      nodes: 1,
      memoryMiB: 512,
      diskMiB: 1024,
      folder: join(folder, 'grid'),
      hasOwnRelease: true,
      env: buildEnvironment(process.env),
      makeFirstStage: () => makeDoorFirstStage(ROOT, join(folder, 'door')),
      hasSecondSerial: true,
      onEvent: ({ subject, state, text }) => console.log(`${subject}: ${state}: ${text}`),
      onConsole: (_, { text, sincePowerOnMs }) => console.log(sincePowerOnMs, text),
      signal: AbortSignal.timeout(BOOT_MS),
    }),
  );
  door = stack.use(await openDoor(join(grid.lab.folder, 'node1.serial')));
  systems = await openSystemMaker(ROOT, join(folder, 'systems'));
  publisher = openPublisher(ROOT, grid.releasePath);
  container = await deployLasting({ root: ROOT, folder, grid, door });
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, STEP_MS);

test(
  'a newer system takes over in place, and no container is restarted',
  async () => {
    const from = lines().length;
    good = await publisher.publish('system.erofs', await systems.make('none', 1));
    const away = await lineAfter(from, /zos: agent update goes to system/u);
    const started = await lineAfter(from, /zos: agent started/u);
    const well = await lineAfter(from, /zos: init the new system is well/u);
    console.log(`gap ${started.sincePowerOnMs - away.sincePowerOnMs} ms to its start, `);
    console.log(
      `and ${well.sincePowerOnMs - away.sincePowerOnMs} ms to its first acknowledged word`,
    );
    const heartbeat = await heartbeatOf(good);
    expect(heartbeat.starts?.at(-1)).toMatchObject({ what: 'agent', reason: 'update' });
    expect(await door.ask(`start ${container.pid}`)).toBe(container.start);
    await lineAfter(from, /zos: init the new system stays; the old one is let go/u);
  },
  STEP_MS,
);

const FAULTS: [Fault, RegExp][] = [
  ['crash', /^it ended with status 7$/u],
  ['memory', /^it took more memory than it may have$/u],
  ['hang', /^the directory did not hear from it within \d+ s$/u],
  ['network', /^the directory did not hear from it within \d+ s$/u],
];

test.each(FAULTS)(
  'an update with the fault "%s" comes back by itself, is told with its reason, and stays bad',
  async (fault, reason) => {
    const from = lines().length;
    const bad = await publisher.publish('system.erofs', await systems.make(fault, 2));
    const away = await lineAfter(from, /zos: agent update goes to system/u);
    await lineAfter(from, /zos: agent update marked system \w+ bad/u);
    const at = lines().findIndex(({ text }) => text.includes(`marked system ${bad} bad`));
    const back = await lineAfter(at, /zos: agent registered/u);
    console.log(`${fault}: back after ${back.sincePowerOnMs - away.sincePowerOnMs} ms`);
    const heartbeat = await heartbeatOf(good, (said) =>
      (said.systemBad ?? []).some(({ sha256 }) => sha256 === bad),
    );
    const mark = heartbeat.systemBad?.find(({ sha256 }) => sha256 === bad);
    expect(mark?.reason).toMatch(reason);
    expect(heartbeat.starts?.at(-1)).toMatchObject({ what: 'agent', reason: 'update-back' });
    // It is still the newest release, and is looked at again: nobody says that it may be tried.
    await lineAfter(at, /zos: agent update waits with system \w+: this node found \w+ bad/u);
    expect(await door.ask(`start ${container.pid}`)).toBe(container.start);
  },
  STEP_MS,
);

test('nothing of what was bad was tried again, and no memory is lost to it', async () => {
  const tried = lines().filter(({ text }) => text.includes('update goes to system'));
  expect(tried.length).toBe(1 + FAULTS.length);
  const [, total = 0, available = 0] = (await door.ask('memory')).split(' ').map(Number);
  console.log(`memory in use: ${((total - available) * 1024) / 1_000_000} MB`);
  expect(((total - available) * 1024) / 1_000_000).toBeLessThan(180);
});

function lines(): readonly ConsoleLine[] {
  return grid.nodes[0]?.guest.lines ?? [];
}

function lineAfter(from: number, pattern: RegExp): Promise<ConsoleLine> {
  return findLine(lines(), { from, pattern, deadlineMs: STEP_MS - 20 * SECOND_MS });
}

/** The node's signed word to the directory, once it runs a system. */
function heartbeatOf(
  system: string,
  isSo: (said: Heartbeat) => boolean = () => true,
): Promise<Heartbeat> {
  return heartbeatThat(grid, {
    isSo: (said) => said.system === system && isSo(said),
    deadlineMs: STEP_MS / 2,
  });
}
