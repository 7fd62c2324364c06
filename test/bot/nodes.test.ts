import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
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
