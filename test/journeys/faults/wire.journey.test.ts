import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { askBot } from '../../../boot/grid/bot.ts';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import { SAMPLE, writeSample } from '../../../boot/grid/sample.ts';
import { MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { heartbeatThat, lineAfter } from '../../support/grid.ts';
import { type BadWire, openBadWire } from '../../support/wire/bad-wire.ts';

// Two machines whose own clocks are wrong both ways, and what their wire can do to them.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 10 * MINUTE_MS;
const CLOCKS = ['1970-01-02', '2035-01-01'];

let folder: string;
let grid: Grid;
let wire: BadWire;

const statusSchema = z.object({
  contracts: z.array(
    z.object({
      node: z.string(),
      receipt: z
        .object({ workloads: z.array(z.object({ pid: z.number().optional() })) })
        .nullable(),
    }),
  ),
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-wire-'));
  grid = await openGrid({
    root: ROOT,
    name: 'faults of the wire',
    nodes: 2,
    clocks: CLOCKS,
    memoryMiB: 1024,
    diskMiB: 2048,
    folder: join(folder, 'grid'),
    hasOwnRelease: true,
    env: buildEnvironment(process.env),
    onEvent: ({ subject, state, text }) => console.log(`${subject}: ${state}: ${text}`),
    signal: AbortSignal.timeout(BOOT_MS),
  });
  await grid.bot.zos({ args: ['deploy', await writeSample({ root: ROOT, ...grid })] });
  const behind = { lab: grid.lab, tap: 'tap0', deadlineMs: STEP_MS };
  wire = await openBadWire({ root: ROOT, folder, ...behind });
}, BOOT_MS);

afterAll(async () => {
  await wire?.[Symbol.asyncDispose]();
  await grid?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, STEP_MS);

test('clocks in 1970 and 2035 are set by the directory, before anything is believed', () => {
  const thisYear = new Date().toISOString().slice(0, 8);
  for (const { guest } of grid.nodes) {
    const said = guest.lines.map(({ text }) => text).join('\n');
    expect(said).toMatch(new RegExp(`zos: boot clock ${thisYear}\\S+ by the directory`, 'u'));
    expect(said).toContain('zos: agent clock-synced');
  }
});

test(
  'a fifth of all packets lost, half a second late: words and logs still come through',
  async () => {
    // Each way, so that an answer is half a second late and every third exchange loses something.
    await wire.be('loss 20% delay 250ms');
    const begin = Date.now();
    await heartbeatAfter(0, begin);
    await heartbeatAfter(0, Date.now());
    const logs = await grid.bot.zos({ args: ['logs', `${SAMPLE.name}/${SAMPLE.server}`] });
    expect(logs).toBeDefined();
    await wire.be('loss 0%');
  },
  STEP_MS,
);

test(
  'a wire on which nothing comes through is named after a minute, and so is its end',
  async () => {
    const { guest } = grid.nodes[0] ?? {};
    if (guest === undefined) throw new Error('no node');
    const before = await pidsOf(0);
    const from = guest.lines.length;
    await wire.be('loss 100%');
    const said = { from, deadlineMs: STEP_MS / 3 };
    await lineAfter(guest.lines, { ...said, pattern: /trouble DIRECTORY_SILENT .*goes on/u });
    await wire.be('loss 0%');
    await lineAfter(guest.lines, { ...said, pattern: /trouble over DIRECTORY_SILENT/u });
    expect(await pidsOf(0)).toEqual(before);
  },
  STEP_MS,
);

test(
  'a cable that is pulled and put back: named by its card, all goes on, and the address is back',
  async () => {
    const { guest } = grid.nodes[1] ?? {};
    if (guest === undefined) throw new Error('no node');
    const before = await pidsOf(1);
    const from = guest.lines.length;
    const said = { from, deadlineMs: STEP_MS / 3 };
    await guest.qmp('set_link', { name: 'net0', up: false });
    await lineAfter(guest.lines, {
      ...said,
      pattern: new RegExp(`waits for a cable in \\S+ \\(${guest.mac}\\)`, 'u'),
    });
    await lineAfter(guest.lines, { ...said, pattern: /trouble NO_ADDRESS/u });
    await guest.qmp('set_link', { name: 'net0', up: true });
    await lineAfter(guest.lines, { ...said, pattern: /trouble over NO_ADDRESS/u });
    await heartbeatAfter(1, Date.now());
    expect(await pidsOf(1)).toEqual(before);
  },
  STEP_MS,
);

/** A sign of life that the node signed after that moment. */
async function heartbeatAfter(at: number, atMs: number): Promise<void> {
  const node = grid.nodes[at]?.id ?? '';
  const isSo = (said: { readonly seq: number }): boolean => said.seq > atMs + 2 * SECOND_MS;
  await heartbeatThat(grid, { node, isSo, deadlineMs: STEP_MS / 3 });
  await sleep(1);
}

async function pidsOf(at: number): Promise<unknown> {
  const { contracts } = await askBot(grid.bot, ['status', SAMPLE.name], statusSchema);
  return contracts
    .filter(({ node }) => node === grid.nodes[at]?.id)
    .map(({ receipt }) => receipt?.workloads.map(({ pid }) => pid));
}
