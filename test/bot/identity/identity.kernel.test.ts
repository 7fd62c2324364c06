import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { recoveryKeys } from '../../../src/identity/recovery.ts';
import { toBase64 } from '../../../src/lib/bytes.ts';
import { openDirectory, type TestDirectory } from '../../support/directory.ts';
import { type Bench, type Ran, zos } from '../support/captured-terminal.ts';

// Several commands, each of which signs and is checked, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder = '';
let directory: TestDirectory;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-identity-'));
  directory = await openDirectory();
});
afterEach(async () => {
  await directory[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function bench(name: string): Bench {
  return { homePath: join(folder, name), directoryUrl: directory.url };
}

type Said = {
  readonly id: string;
  readonly recoveryWords: string;
  readonly isOwnKeyGood: boolean;
  readonly changes: number;
  readonly devices: unknown[];
};

async function json(run: Promise<Ran>): Promise<Said> {
  const ran = await run;
  if (ran.code !== 0) throw new Error(ran.err);
  return JSON.parse(ran.out) as Said;
}

const make = async (name: string): Promise<Said> =>
  json(zos(bench(name), 'identity', 'new', '--name', name, '--json'));
const show = async (name: string): Promise<Said> =>
  json(zos(bench(name), 'identity', 'show', '--json'));
const keysOf = (name: string): string => readFileSync(join(folder, name, 'key.json'), 'utf8');

test('the words are shown once, and kept nowhere', async () => {
  const ran = await zos(bench('alice'), 'identity', 'new', '--name', 'alice');
  const words =
    ran.out
      .match(/^ +\d+ [a-z]+ .*$/gmu)
      ?.join(' ')
      .match(/[a-z]+/gu) ?? [];
  expect(words).toHaveLength(24);
  const kept = keysOf('alice') + readFileSync(join(folder, 'alice', 'identity.json'), 'utf8');
  const seed = recoveryKeys(words.join(' ')).secretKey.subarray(0, 32);
  expect(kept).not.toContain(toBase64(seed));
  expect(kept).not.toContain(words.slice(0, 2).join(' '));
});

test('keys are replaced: the id stays, and the old keys are gone', async () => {
  const { id } = await make('alice');
  const before = keysOf('alice');
  expect((await json(zos(bench('alice'), 'identity', 'rotate', '--json'))).id).toBe(id);
  expect(await show('alice')).toMatchObject({ id, changes: 1, isOwnKeyGood: true });
  const after = keysOf('alice');
  for (const secret of Object.values(JSON.parse(before) as Record<string, string>)) {
    expect(after).not.toContain(secret);
  }
  expect(await zos(bench('alice'), 'farm', 'create', 'attic')).toMatchObject({ code: 0 });
});

test('new keys that a cut left beside the old ones are taken up', async () => {
  await make('alice');
  const before = keysOf('alice');
  await zos(bench('alice'), 'identity', 'rotate');
  await show('alice');
  // As a cut leaves it after the directory took the change, and before the keys were moved.
  writeFileSync(join(folder, 'alice', 'key.next.json'), keysOf('alice'));
  writeFileSync(join(folder, 'alice', 'key.json'), before);
  expect(await show('alice')).toMatchObject({ isOwnKeyGood: true });
  expect(keysOf('alice')).not.toBe(before);
});

test('a device signs until it is removed, and changes nothing about the identity', async () => {
  const { id } = await make('alice');
  const request = await zos(bench('laptop'), 'identity', 'device', 'new', '--name', 'laptop');
  const file = join(folder, 'laptop.device');
  writeFileSync(file, request.out);
  expect(await zos(bench('laptop'), 'identity', 'show')).toMatchObject({
    code: 2,
    err: expect.stringContaining('no device of anybody yet'),
  });
  await json(zos(bench('alice'), 'identity', 'device', 'add', file, '--json'));
  await json(zos(bench('laptop'), 'identity', 'device', 'join', id, '--json'));
  expect(await zos(bench('laptop'), 'farm', 'create', 'barn')).toMatchObject({ code: 0 });
  expect(await zos(bench('laptop'), 'identity', 'rotate')).toMatchObject({
    code: 2,
    err: expect.stringContaining('where it was made'),
  });
  await json(zos(bench('alice'), 'identity', 'device', 'remove', 'laptop', '--json'));
  const late = await zos(bench('laptop'), 'farm', 'create', 'shed');
  expect(late).toMatchObject({ code: 3, err: expect.stringContaining('has changed since') });
  const shown = await zos(bench('laptop'), 'identity', 'show');
  expect(shown.out).toContain('keys of this machine no longer sign');
});

test('24 words bring an identity back to a new machine, and the old one signs nothing', async () => {
  const { id, recoveryWords } = await make('alice');
  await zos(bench('alice'), 'farm', 'create', 'attic');
  const fresh = { ...bench('fresh'), input: recoveryWords };
  expect((await json(zos(fresh, 'identity', 'recover', id, '--json'))).id).toBe(id);
  expect(await zos(fresh, 'farm', 'create', 'barn')).toMatchObject({ code: 0 });
  expect(await zos(bench('alice'), 'farm', 'create', 'shed')).toMatchObject({ code: 3 });
});

test('wrong words bring back nothing, and none of them is told', async () => {
  const { id } = await make('alice');
  const stranger = await make('mallory');
  await zos(bench('alice'), 'farm', 'create', 'attic');
  const other = { ...bench('other'), input: stranger.recoveryWords };
  const ran = await zos(other, 'identity', 'recover', id);
  expect(ran).toMatchObject({ code: 2, err: expect.stringContaining('not of this identity') });
  const bad = { ...other, input: `${stranger.recoveryWords} zoo` };
  const told = await zos(bad, 'identity', 'recover', id);
  expect(told.err).toContain('There are 25 words');
  expect(told.err).not.toContain('zoo');
});

test('a thief who rotated with the stolen keys is undone with the words', async () => {
  const { id, recoveryWords } = await make('alice');
  await zos(bench('alice'), 'farm', 'create', 'attic');
  cpSync(join(folder, 'alice'), join(folder, 'thief'), { recursive: true });
  await json(zos(bench('thief'), 'identity', 'rotate', '--json'));
  await json(zos(bench('thief'), 'identity', 'rotate', '--json'));
  const shown = await zos(bench('alice'), 'identity', 'show');
  expect(shown.out).toContain('If that was not you, run `zos identity undo`');
  const owner = { ...bench('alice'), input: recoveryWords };
  await json(zos(owner, 'identity', 'undo', '--changes', '2', '--json'));
  expect(await show('alice')).toMatchObject({ id, isOwnKeyGood: true });
  expect(await zos(bench('alice'), 'farm', 'create', 'barn')).toMatchObject({ code: 0 });
  const more = await zos(owner, 'identity', 'undo', '--changes', '9');
  expect(more).toMatchObject({ code: 2, err: expect.stringContaining('undo no more of them') });
  expect(await zos(bench('thief'), 'farm', 'create', 'den')).toMatchObject({ code: 3 });
  expect(await zos(bench('thief'), 'identity', 'rotate')).not.toMatchObject({ code: 0 });
});

test('where somebody can be reached stands in their identity, until they take it out', async () => {
  const { id } = await make('alice');
  const service = ['identity', 'service'];
  const url = 'https://alice.example/inbox';
  await json(zos(bench('alice'), ...service, 'add', 'inbox', url, '--json'));
  const shown = await zos(bench('alice'), 'identity', 'show');
  expect(shown.out).toContain(`Service:  inbox ${url}`);
  expect(verifyIdentity(await directory.client.identity(id)).newest?.services).toEqual([
    { name: 'inbox', url },
  ]);
  expect(await zos(bench('alice'), ...service, 'add', 'inbox', 'ftp://x')).toMatchObject({
    code: 2,
    err: expect.stringContaining('is no service'),
  });
  await json(zos(bench('alice'), ...service, 'remove', 'inbox', '--json'));
  expect((await zos(bench('alice'), 'identity', 'show')).out).not.toContain('Service');
});
