import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Bench, type Ran, zos } from './support/captured-terminal.ts';
import { type DirectoryProcess, startDirectory } from './support/directory-process.ts';

// Real processes on a machine that may be busy with a virtual one.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const RELEASE = 'ab'.repeat(32);

let folder = '';
let directory: DirectoryProcess;
let bench: Bench;
const farm = async (...args: string[]): Promise<Ran> => zos(bench, 'farm', ...args);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-farm-'));
  directory = await startDirectory(join(folder, 'directory'));
  bench = { homePath: join(folder, 'home'), directoryUrl: directory.url };
  await zos(bench, 'identity', 'new');
  await farm('create', 'attic');
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('a farm whose farmer signed nothing yet says what that means', async () => {
  expect(await farm('updates')).toEqual({
    code: 0,
    err: '',
    out:
      'Farm:    attic, nodes: 0\n' +
      'Window:  none signed: nodes update in place at any time, and no machine restarts for an ' +
      'update\n' +
      'Share:   1 at a time\n\nNo node has asked to change to another release yet.\n',
  });
});

test('window and share are signed, one after the other, and stay', async () => {
  const first = await farm('updates', '--window', 'Sat,Sun 22:00-02:00');
  expect(first.out).toMatch(/Window: {2}Sat,Sun 22:00-02:00 UTC, (?:opens in|open for) /u);
  const second = await farm('updates', '--share', '25%', '--json');
  const { policy } = JSON.parse(second.out) as { policy: unknown };
  expect(policy).toMatchObject({
    version: 2,
    window: { days: ['sat', 'sun'], startMinute: 1320, lengthMinutes: 240 },
    sharePercent: 25,
  });
});

test('a release is stopped and goes on by its first digits, and by a signed word', async () => {
  expect((await farm('rollout', 'stop', RELEASE)).out).toContain('is stopped in farm attic');
  const stopped = JSON.parse((await farm('updates', '--json')).out) as { policy: unknown };
  expect(stopped.policy).toMatchObject({ stopped: [RELEASE], forgiven: [] });
  expect(await farm('rollout', 'resume', 'abab', '--json')).toMatchObject({ code: 0 });
  const resumed = JSON.parse((await farm('updates', '--json')).out) as { policy: unknown };
  const { version } = resumed.policy as { version: number };
  expect(resumed.policy).toMatchObject({ stopped: [], forgiven: [{ release: RELEASE, version }] });
});

test.each([
  [['updates', '--window', 'Sonntag'], /"Sonntag" is no window; write one such as "Sun 02:00-05:/],
  [['updates', '--share', '0%'], /"0%" is no share; write one from 1% to 100%/],
  [['updates', '--share', 'all'], /"all" is no share/],
  [['rollout', 'resume', 'ffff'], /No release of this farm begins with "ffff"; `zos farm updates`/],
  [['updates', '--farm', 'cellar'], /There is no farm cellar; say which with --farm: attic/],
])('%j is told with status 2', async (args, sentence) => {
  const ran = await farm(...args);
  expect(ran.err).toMatch(sentence);
  expect(ran).toMatchObject({ code: 2, out: '' });
});
