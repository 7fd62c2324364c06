import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Bench, zos } from './support/captured-terminal.ts';
import { type DirectoryProcess, startDirectory } from './support/directory-process.ts';
import { type JoinFile, startNode } from './support/scripted-node.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const CARDS = ['52:54:00:5a:00:02'];

let folder = '';
let directory: DirectoryProcess;
let bench: Bench;
let tokens: JoinFile[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-power-'));
  directory = await startDirectory(join(folder, 'directory'));
  bench = { homePath: join(folder, 'home'), directoryUrl: directory.url };
  await zos(bench, 'identity', 'new');
  await zos(bench, 'farm', 'create', 'attic');
  const made = await zos(bench, 'farm', 'token', '--count', '2', '--json');
  tokens = JSON.parse(made.out) as JoinFile[];
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('a node sleeps when there is another to wake it, and that one is told by which cards', async () => {
  const [first, second] = tokens;
  if (first === undefined || second === undefined) throw new Error('There are two tokens.');
  const life = { cards: CARDS, isAsleep: true } as const;
  await using sleeper = await startNode({ url: directory.url, join: first, life });
  const alone = await zos(bench, 'farm', 'wake', sleeper.id);
  expect(alone.err).toContain('No other node of the farm');
  await using neighbour = await startNode({ url: directory.url, join: second });
  const asleep = await zos(bench, 'nodes', 'show', sleeper.id);
  expect(asleep.out).toMatch(/^state +asleep$/mu);
  const woken = await zos(bench, 'farm', 'wake', sleeper.id);
  expect(woken).toMatchObject({ code: 0 });
  const order = JSON.stringify({ do: 'wake', cards: CARDS });
  expect(woken.out).toBe(`Node ${neighbour.id.slice(0, 10)}: Asked to ${order}.\n`);
  // Nobody who is awake would be left to wake the last one.
  const last = await zos(bench, 'farm', 'sleep', neighbour.id);
  expect(last.err).toContain('No other node of the farm');
  const unknown = await zos(bench, 'farm', 'wake', neighbour.id);
  expect(unknown.err).toContain('never told by which cards to wake it. Switch it on by hand.');
});
