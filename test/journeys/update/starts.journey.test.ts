import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import type { Start } from '../../../src/contract/start.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { type Door, makeDoorFirstStage, openDoor } from '../../support/door.ts';
import { heartbeatThat as findHeartbeat } from '../../support/grid.ts';

// One machine that goes down in every way there is; after each it has to say exactly which it was.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 6 * MINUTE_MS;

const stack = new AsyncDisposableStack();
let grid: Grid;
let door: Door;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-starts-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  grid = stack.use(
    await openGrid({
      root: ROOT,
      name: 'starts',
      nodes: 1,
      memoryMiB: 1024,
      diskMiB: 1024,
      folder: join(folder, 'grid'),
      hasOwnRelease: true,
      env: buildEnvironment(process.env),
      makeFirstStage: () => makeDoorFirstStage(ROOT, join(folder, 'door')),
      hasSecondSerial: true,
      onEvent: ({ subject, state, text }) => console.log(`${subject}: ${state}: ${text}`),
      onConsole: (_, { text }) => console.log(text),
      signal: AbortSignal.timeout(BOOT_MS),
    }),
  );
  door = stack.use(await openDoor(join(grid.lab.folder, 'node1.serial')));
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, STEP_MS);

test('switched on: power', async () => {
  const { starts } = await heartbeatAfter('');
  expect(starts).toMatchObject([{ what: 'boot', reason: 'power', detail: '' }]);
});

test('an agent that is killed: agent-crash, with its signal', async () => {
  expect(await door.ask('kill')).toMatch(/^killed [1-9]/u);
  const last = await startSaid(({ what }) => what === 'agent');
  expect(last).toMatchObject({ reason: 'agent-crash', detail: 'it ended by signal 9' });
});

const DOWNS: [string, () => Promise<unknown>, Pick<Start, 'reason' | 'detail'>][] = [
  [
    'a kernel that panics: panic, with its last words',
    async () => door.tell('panic'),
    { reason: 'panic', detail: 'sysrq triggered crash' },
  ],
  [
    'a machine whose PID 1 stands still: watchdog',
    async () => door.tell('freeze'),
    { reason: 'watchdog', detail: 'the machine hung, and its watchdog restarted it' },
  ],
  [
    'somebody asks for a restart: requested',
    async () => pressKeys(['ctrl', 'alt', 'delete']),
    { reason: 'requested', detail: 'it was told to go down' },
  ],
  [
    'somebody presses reset: power, as far as anybody can know',
    async () => grid.nodes[0]?.guest.reset(),
    { reason: 'power', detail: '' },
  ],
];

test.each(DOWNS)(
  '%s',
  async (_, goDown, reason) => {
    const before = await heartbeatAfter('');
    await goDown();
    const { starts } = await heartbeatAfter(before.bootId);
    expect(starts).toMatchObject([{ what: 'boot', ...reason }]);
  },
  STEP_MS,
);

async function pressKeys(names: readonly string[]): Promise<void> {
  const keys = names.map((data) => ({ type: 'qcode', data }));
  await grid.nodes[0]?.guest.qmp('send-key', { keys });
}

/** The node's signed word of another boot than this one. */
async function heartbeatAfter(bootId: string): Promise<Heartbeat> {
  return heartbeatThat((said) => said.bootId !== bootId && said.starts !== undefined);
}

async function startSaid(isSo: (start: Start) => boolean): Promise<Start | undefined> {
  const { starts } = await heartbeatThat((said) => said.starts?.some(isSo) === true);
  return starts?.findLast(isSo);
}

function heartbeatThat(isSo: (said: Heartbeat) => boolean): Promise<Heartbeat> {
  return findHeartbeat(grid, { isSo, deadlineMs: STEP_MS - MINUTE_MS });
}
