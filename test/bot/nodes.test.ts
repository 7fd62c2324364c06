import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { GiB } from '../../src/lib/units.ts';
import { type Bench, zos } from './support/captured-terminal.ts';
import { type DirectoryProcess, startDirectory } from './support/directory-process.ts';
import { type JoinFile, startNode } from './support/scripted-node.ts';

// Real processes on a machine that may be busy with a virtual one.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const SYSTEM = 'ab'.repeat(32);
const BAD = 'cd'.repeat(32);

let folder = '';
let directory: DirectoryProcess;
let bench: Bench;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-nodes-'));
  directory = await startDirectory(join(folder, 'directory'));
  bench = { homePath: join(folder, 'home'), directoryUrl: directory.url };
  await zos(bench, 'identity', 'new');
  await zos(bench, 'farm', 'create', 'attic');
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('why a node and its agent started, and what it leaves alone, is kept and shown', async () => {
  const [token] = JSON.parse((await zos(bench, 'farm', 'token', '--json')).out) as [JoinFile];
  const power = { what: 'boot', reason: 'power', detail: '', system: SYSTEM, atMs: 1 } as const;
  const crash = { what: 'agent', reason: 'agent-crash', detail: 'it ended by signal 9' } as const;
  const starts = [power, { ...crash, system: SYSTEM, atMs: 9 }];
  const reason = 'it took more memory than it may have';
  const mark = { what: 'system', sha256: BAD, reason, atMs: 5, policyVersion: 0 } as const;
  const life = { starts, systemBad: [mark] };
  await using node = await startNode({ url: directory.url, join: token, life });
  const [shown] = JSON.parse((await zos(bench, 'nodes', '--json')).out) as unknown[];
  expect(shown).toMatchObject({ id: node.id, starts, systemBad: [mark] });
  const { out } = await zos(bench, 'nodes');
  const who = `Node ${node.id.slice(0, 10)}`;
  expect(out).toContain(`${who}: its agent was started anew (agent-crash): it ended by signal 9.`);
  expect(out).toContain(`${who} leaves release ${BAD.slice(0, 10)} alone: ${reason}.`);
});

test('what is wrong with a node is shown in its own words, and first of all', async () => {
  const [token] = JSON.parse((await zos(bench, 'farm', 'token', '--json')).out) as [JoinFile];
  const sentence = 'The disk vda is full; cancel something, or put in another disk.';
  const troubles = [{ code: 'DISK_FULL', sentence, sinceMs: Date.now() - 90_000 }];
  const metrics = {
    busyPermille: 125,
    pressure: { cpu: 150, memory: 25, io: 0 },
    disk: { lengthBytes: 8 * GiB, freeBytes: 6 * GiB, readBytes: GiB, writtenBytes: GiB / 2 },
    network: { receivedBytes: 3 * GiB, sentBytes: 1024 },
    containers: 7,
    agent: { memoryBytes: GiB / 32, descriptors: 40, timers: 9 },
  };
  const life = { troubles, metrics };
  await using node = await startNode({ url: directory.url, join: token, life });
  const who = node.id.slice(0, 10);
  const { out } = await zos(bench, 'nodes', 'show', who);
  expect(out).toMatch(
    new RegExp(`^Node ${node.id}\n\nDISK_FULL for 1 min 3\\d s: ${sentence}`, 'u'),
  );
  expect(out).toContain('key             in memory: gone at the next boot');
  const shown = JSON.parse((await zos(bench, 'nodes', 'show', who, '--json')).out) as unknown;
  expect(shown).toMatchObject({ id: node.id, troubles, metrics });
  expect(out).toMatch(/^processors +12\.5 % busy$/mu);
  expect(out).toMatch(
    /^work waited +1\.5 % for processors, 0\.3 % for memory, 0\.0 % for disks, /mu,
  );
  expect(out).toMatch(/^containers +7$/mu);
  expect((await zos(bench, 'nodes')).out).toContain(
    `Node ${who} is in trouble: DISK_FULL ${sentence}`,
  );
  const none = await zos(bench, 'nodes', 'show', 'ffffffffff');
  expect(none.err).toContain("No node's id begins with ffffffffff; see `zos nodes`.");
});

test('what a node refused as it booted is kept and shown, with whose it was', async () => {
  const [token] = JSON.parse((await zos(bench, 'farm', 'token', '--json')).out) as [JoinFile];
  const mirror = 'http://192.0.2.9:8081';
  const sentence = 'It is version 1, and the disk /dev/vda has seen version 2.';
  const refusal = { artifact: 'metadata/targets.json', code: 'ROLLED_BACK', sentence, mirror };
  const versions = { root: 1, timestamp: 5, snapshot: 4, targets: 3 };
  const boot = { versions, loader: null, media: 'initramfs', refusals: [refusal] };
  await using node = await startNode({ url: directory.url, join: token, life: { boot } });
  const all = JSON.parse((await zos(bench, 'nodes', '--json')).out) as { id: string }[];
  expect(all.find(({ id }) => id === node.id)).toMatchObject({ boot });
  const words = `refused metadata/targets.json from ${mirror} (ROLLED_BACK) as it booted.`;
  expect((await zos(bench, 'nodes')).out).toContain(`Node ${node.id.slice(0, 10)} ${words}`);
});

test('nodes are found by what they have free, where they are and what they cost', async () => {
  await zos(bench, 'farm', 'terms', '--country', 'BE');
  const [token] = JSON.parse((await zos(bench, 'farm', 'token', '--json')).out) as [JoinFile];
  await using node = await startNode({ url: directory.url, join: token, memoryBytes: 4 * GiB });
  const found = async (...args: string[]): Promise<string[]> => {
    const { out } = await zos(bench, 'nodes', ...args, '--json');
    return (JSON.parse(out) as { id: string }[]).map(({ id }) => id);
  };
  expect(await found('--memory', '4G', '--cpu', '2', '--country', 'be')).toEqual([node.id]);
  expect(await found('--memory', '4GiB', '--online')).toEqual([node.id]);
  expect(await found('--memory', '4.1GiB')).toEqual([]);
  expect(await found('--feature', 'tpm')).toEqual([]);
  expect(await found('--farm', 'attic', '--memory', '3GiB')).toEqual([node.id]);
  expect(await found('--memory', '3GiB', '--price', '0')).toEqual([node.id]);
  const { out } = await zos(bench, 'nodes', '--memory', '4G');
  // Two processors, 4 GiB and 8 GiB of solid-state storage.
  expect(out).toMatch(/1\.00 {2}0\.04 {2}free {3}BE {5}100\.0 %/u);
  expect((await zos(bench, 'nodes', '--country', 'KE')).out).toBe(
    'No node of the grid test has all of that; ask for less of it.\n',
  );
});

test.each([
  [['--memory', 'much'], 'memory, such as 4GiB'],
  [['--cpu', '-1'], 'processors, such as 2 or 0.5'],
  [['--country', 'Belgium'], 'a country, two letters such as BE'],
  [['--class', 'best'], 'a class; there are attested'],
  [['--feature', 'flying'], 'features; there are data-disk'],
  [['--price', 'low'], 'a price an hour, such as 0.05'],
])('a search written %j is told what to write', async (args, sentence) => {
  const { code, err } = await zos(bench, 'nodes', ...args);
  expect(code).toBe(2);
  expect(err).toContain(sentence);
});

test('a node explains itself to who asks, in text, as a graph and for programs', async () => {
  const [token] = JSON.parse((await zos(bench, 'farm', 'token', '--json')).out) as [JoinFile];
  const key = `image ${SYSTEM}`;
  const said = {
    grid: token.grid,
    node: BAD,
    atMs: 90_000,
    items: [
      {
        key,
        wants: '8.0 MiB, checked and mounted',
        has: '',
        needs: [`image-fetched ${SYSTEM}`],
        steps: [],
        waits: [{ because: 'fact', sentence: `it comes \u001b[2J`, sinceMs: 60_000 }],
      },
    ],
    facts: [{ key: `image-fetched ${SYSTEM}`, isMet: false, because: '1.0 MiB of 8.0 MiB' }],
    leftOut: 0,
  };
  const explanation = JSON.stringify(said);
  await using node = await startNode({ url: directory.url, join: token, explanation });
  const text = await zos(bench, 'node', 'explain', node.id.slice(0, 12));
  expect(text.err).toBe('');
  expect(text.out).toContain(
    'image abababababab\n    wants: 8.0 MiB, checked and mounted; has: noth',
  );
  expect(text.out).toContain('waits for 30.0 s: it comes');
  expect(text.out).not.toContain('\u001b');
  const graph = await zos(bench, 'node', 'explain', node.id, '--graph', 'mermaid');
  expect(graph.out).toContain('n0 --> n1');
  const json = await zos(bench, 'node', 'explain', node.id, '--json');
  expect(JSON.parse(json.out)).toEqual([said]);
});
