import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { askBot, waitOnline } from '../../../boot/grid/bot.ts';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { type GridNode, waitRegistered } from '../../../boot/grid/node.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import { start } from '../../../src/host/exec.ts';
import { namedFileSchema } from '../../../src/lib/names.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

// A machine with UEFI, Secure Boot and a TPM, and one with an old BIOS, in one grid.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 10 * MINUTE_MS;

let folder: string;
let grid: Grid;
let attested: GridNode;
let old: GridNode;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-journey-'));
  const signal = AbortSignal.timeout(BOOT_MS);
  const onEvent = ({ subject, state, text }: Record<'subject' | 'state' | 'text', string>) =>
    console.log(`${subject}: ${state}: ${text}`);
  grid = await openGrid({
    root: ROOT,
    name: 'journeys',
    nodes: 1,
    mayJoin: 2,
    uefi: 'http',
    memoryMiB: 1024,
    folder: join(folder, 'grid'),
    hasOwnRelease: true,
    env: buildEnvironment(process.env),
    onEvent,
    signal,
  });
  const [node] = grid.nodes;
  if (node === undefined) throw new Error('The grid has no node.');
  attested = node;
  const { lab } = grid;
  const guest = await lab.startGuest({ name: 'old1', mac: '52:54:00:7a:6f:77', memoryMiB: 1024 });
  old = await waitRegistered({ guest, addressOf: lab.addressOf, onEvent, signal });
  await waitOnline(grid.bot, { count: 2, signal });
}, BOOT_MS);

afterAll(async () => {
  await grid?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, STEP_MS);

function classLine(node: GridNode): string {
  const { lines } = node.guest;
  return lines.find(({ text }) => text.includes('zos: agent class '))?.text ?? 'it said nothing';
}

test('UEFI over HTTP with Secure Boot and a TPM comes up as attested, an old BIOS does not', () => {
  expect(classLine(attested)).toMatch(/zos: agent class attested$/u);
  expect(classLine(old)).toContain('zos: agent class unverified: Secure Boot is off');
  const measured = attested.guest.lines.filter(({ text }) =>
    text.includes('measured system.erofs'),
  );
  expect(measured).toHaveLength(1);
  const answered = attested.guest.lines.find(({ text }) => text.includes('TPM answered in'));
  console.log(`attested: ${answered?.text}`);
  console.log(`attested: power-on to registered ${attested.registeredAfterMs / 1000} s`);
});

const verdictSchema = z.object({
  class: z.string(),
  isProven: z.boolean(),
  checks: z.array(z.object({ state: z.string() })),
  askedMs: z.number(),
  judgedMs: z.number(),
});

test(
  'anybody can ask the TPM and judge its answer',
  async () => {
    const verdict = await askBot(grid.bot, ['verify', 'node', attested.id], verdictSchema);
    console.log(`verify: answered in ${verdict.askedMs} ms, judged in ${verdict.judgedMs} ms`);
    expect(verdict).toMatchObject({ class: 'attested', isProven: true });
    expect(verdict.checks.every(({ state }) => state === 'ok')).toBe(true);
    const other = start(grid.bot.command(['verify', 'node', old.id]));
    expect((await other.ended).exitCode).toBe(12);
  },
  STEP_MS,
);

const nodesSchema = z.array(
  z.object({
    id: z.string(),
    class: z.string(),
    provenClass: z.string(),
    security: z.object({ isSecureBoot: z.boolean(), lockdown: z.string(), because: z.string() }),
  }),
);

test(
  'the directory asked by itself, and shows the class offered and proven',
  async () => {
    const classes = async () => {
      const nodes = await askBot(grid.bot, ['nodes'], nodesSchema);
      return new Map(nodes.map((node) => [node.id, `${node.class} ${node.provenClass}`]));
    };
    for (let tries = 0; tries < 60; tries += 1) {
      if ((await classes()).get(attested.id) === 'attested attested') break;
      await sleep(1000);
    }
    const seen = await classes();
    expect(seen.get(attested.id)).toBe('attested attested');
    expect(seen.get(old.id)).toBe('unverified unverified');
    const nodes = await askBot(grid.bot, ['nodes'], nodesSchema);
    const security = new Map(nodes.map((node) => [node.id, node.security]));
    const lockdown = 'confidentiality';
    expect(security.get(attested.id)).toEqual({ isSecureBoot: true, lockdown, because: '' });
    expect(security.get(old.id)).toMatchObject({ isSecureBoot: false, lockdown });
  },
  STEP_MS,
);

/** A deployment of so many containers, each on a node of its own. */
async function writeDeployment(name: string, containers: readonly string[]): Promise<string> {
  const path = join(ROOT, 'dist/images/web.erofs');
  const args = ['image', path, '--url', `${grid.imagesUrl}/web.erofs`];
  const image = await askBot(grid.bot, args, namedFileSchema);
  const container = { image, args: ['/bin/busybox', 'sleep', '86400'] };
  const file = join(folder, `${name}.json`);
  const text = JSON.stringify({
    name,
    duration: '1h',
    requires: 'attested',
    containers: Object.fromEntries(containers.map((each) => [each, container])),
    ...(containers.length > 1 ? { apart: containers } : {}),
  });
  await writeFile(file, text);
  return file;
}

test(
  'what requires attested lands on the attested node, and never on the other',
  async () => {
    const one = await writeDeployment('one', ['web']);
    await grid.bot.zos({ args: ['deploy', one], onLine: (line) => console.log(line) });
    const form = z.object({
      containers: z.array(z.object({ node: z.string(), state: z.string() })),
    });
    const { containers } = await askBot(grid.bot, ['status', 'one'], form);
    expect(containers).toEqual([{ node: attested.id, state: 'running' }]);
    // There is room for a second one on the other node, which is of no use.
    const two = await writeDeployment('two', ['a', 'b']);
    await expect(grid.bot.zos({ args: ['deploy', two] })).rejects.toThrow('shall be apart from');
  },
  STEP_MS,
);
