import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { askBot } from '../../../boot/grid/bot.ts';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import type { ConsoleLine } from '../../../boot/lab/guest.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import type { Start } from '../../../src/contract/start.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { AGENT_LIMITS } from '../../../src/node/health/growth.ts';
import { type Door, makeDoorFirstStage, openDoor } from '../../support/door.ts';
import { heartbeatThat as findHeartbeat, lineAfter as findLine } from '../../support/grid.ts';
import { deployLasting, type LastingContainer } from '../../support/update/lasting.ts';

// One machine that goes down in every way there is; after each it has to say exactly which it was.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 10 * MINUTE_MS;

const stack = new AsyncDisposableStack();
let grid: Grid;
let door: Door;
let container: LastingContainer;
let machineStarts = 1;

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
  container = await deployLasting({ root: ROOT, folder, grid, door, hasVolume: true });
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

test(
  'killed again and again: later each time, its container untouched, and it still reports',
  async () => {
    const { agentStarts } = await heartbeatAfter('');
    const waits: number[] = [];
    for (const _ of [1, 2, 3]) {
      const from = lines().length;
      expect(await door.ask('kill')).toMatch(/^killed [1-9]/u);
      const { text } = await lineAfter(from, /starts it again in \d+ s: agent/u);
      waits.push(Number(/in (\d+) s/u.exec(text)?.[1]));
      await lineAfter(from, /zos: agent started start/u);
    }
    const [first = 0] = waits;
    expect(waits).toEqual([first, 2 * first, 4 * first]);
    await heartbeatThat((said) => said.agentStarts === agentStarts + waits.length);
    expect(await door.ask(`start ${container.pid}`)).toBe(container.start);
    const last = await startSaid(({ what }) => what === 'agent');
    expect(last).toMatchObject({ reason: 'agent-crash', detail: 'it ended by signal 9' });
  },
  STEP_MS,
);

test(
  'an agent that stands still is ended after a minute, and its container is not',
  async () => {
    const { agentStarts } = await heartbeatAfter('');
    expect(await door.ask('stop')).toMatch(/^stopped [1-9]/u);
    const { starts } = await heartbeatThat((said) => said.agentStarts > agentStarts);
    expect(starts?.at(-1)).toMatchObject({
      what: 'agent',
      reason: 'agent-crash',
      detail: 'it did not get on with its work for 60 s',
    });
    expect(await door.ask(`start ${container.pid}`)).toBe(container.start);
  },
  STEP_MS,
);

test('what the node takes, and what work on it waits for, is in its signs of life', async () => {
  const { metrics, memory } = await heartbeatThat((said) => said.metrics?.containers === 1);
  expect(metrics?.pressure).not.toBeNull();
  expect(metrics?.network.sentBytes).toBeGreaterThan(1000);
  expect(metrics?.disk.writtenBytes).toBeGreaterThan(1000);
  expect(metrics?.agent.memoryBytes).toBeLessThan(AGENT_LIMITS.memoryBytes);
  console.log('metrics', JSON.stringify({ ...metrics, memory }));
  const shown = await grid.bot.zos({ args: ['nodes', 'show', nodeId().slice(0, 10)] });
  console.log(shown);
  expect(shown).toMatch(/^work waited +\d/mu);
  expect(shown).toMatch(/agent \w+ {2}agent-crash: it did not get on with its work for 60 s/u);
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
    async () => door.tell('restart'),
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
    const from = lines().length;
    machineStarts += 1;
    await goDown();
    const { starts } = await heartbeatAfter(before.bootId);
    expect(starts).toMatchObject([{ what: 'boot', ...reason }]);
    const words = reason.detail === '' ? reason.reason : `${reason.reason}: ${reason.detail}`;
    await lineAfter(from, new RegExp(`zos: agent boot started because of ${words}`, 'u'));
    // What was signed runs again, and nobody had to ask for it.
    await heartbeatThat((said) => said.metrics?.containers === 1);
  },
  STEP_MS,
);

test('a volume that a tenant deployed is there again after every start of the machine', async () => {
  const told = await grid.bot.zos({ args: ['logs', 'lasting/one'] });
  expect(told.trim()).toBe(`${machineStarts}`);
});

const lettersSchema = z.object({
  messages: z.array(z.object({ from: z.string(), text: z.string() })),
});

test('the log of the panic is in the mailbox of the farmer, who alone can read it', async () => {
  const { messages } = await askBot(grid.bot, ['message', 'read'], lettersSchema);
  expect(messages).toHaveLength(1);
  const [{ from, text } = { from: '', text: '' }] = messages;
  expect(from).toBe(nodeId());
  expect(text.split('\n')[0]).toBe(`The kernel of node ${from} panicked: sysrq triggered crash`);
  console.log(`a log of ${text.length} characters, ending in:\n${text.slice(-600)}`);
  // What the kernel was at, and not its last line only.
  expect(text).toContain('sysrq_handle_crash');
  expect(text.split('\n').length).toBeGreaterThan(20);
});

function nodeId(): string {
  return grid.nodes[0]?.id ?? '';
}

function lines(): readonly ConsoleLine[] {
  return grid.nodes[0]?.guest.lines ?? [];
}

function lineAfter(from: number, pattern: RegExp): Promise<ConsoleLine> {
  return findLine(lines(), { from, pattern, deadlineMs: STEP_MS - MINUTE_MS });
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
