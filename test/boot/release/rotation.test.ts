import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readKey, readPublicKey, makeKey, type RoleName } from '../../../boot/release/keys.ts';
import { refreshTimestamp, signRelease } from '../../../boot/release/metadata.ts';
import { checkRelease } from '../../../boot/release/publication.ts';
import {
  acceptProposal,
  proposalPathOf,
  proposeRoot,
  signProposal,
} from '../../../boot/release/root.ts';
import { boot, refusals } from '../../support/release/boot.ts';
import { openMirror } from '../../support/release/mirror.ts';
import { makeRelease, type TestRelease } from '../../support/release/release.ts';

const nowMs = Date.now();

async function rootIds(release: TestRelease): Promise<string[]> {
  const keys = ['root-1', 'root-2', 'root-3'].map(async (name) =>
    readKey(join(release.keysPath, `${name}.key`)),
  );
  return (await Promise.all(keys)).map(({ key }) => key.keyID);
}

async function signBy(release: TestRelease, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const keyPath = join(release.keysPath, `${name}.key`);
    await signProposal({ keysPath: release.keysPath, keyPath });
  }
}

/** What a machine does that knows only the root that the release began with. */
async function bootFrom(release: TestRelease): Promise<{ refused: string[]; root: number }> {
  await using mirror = await openMirror(release.releasePath);
  const { lines, fetched } = await boot([mirror.url], release);
  return { refused: refusals(lines), root: fetched?.versions.root ?? 0 };
}

test.each(['root', 'targets', 'snapshot', 'timestamp'] satisfies RoleName[])(
  'the key of %s is another, by two of the three old root keys, and no machine is touched',
  async (role) => {
    await using release = await makeRelease(nowMs);
    const [, , third = ''] = await rootIds(release);
    const insteadOf = role === 'root' ? { insteadOf: third.slice(0, 12) } : {};
    await proposeRoot({ ...release, role, nowMs, ...insteadOf });
    await signBy(release, 'root-1', 'root-2');
    expect(await acceptProposal(release.keysPath)).toBe(2);
    const { versions } = await signRelease({ ...release, nowMs });
    // Versions go on counting: what nodes have seen stays below.
    const isChain = role !== 'root';
    expect(versions).toEqual({
      root: 2,
      targets: role === 'targets' ? 2 : 1,
      snapshot: role === 'targets' || role === 'snapshot' ? 2 : 1,
      timestamp: isChain ? 2 : 1,
    });
    expect(await bootFrom(release)).toEqual({ refused: [], root: 2 });
  },
);

test('a machine that was off for several roots follows each in turn', async () => {
  await using release = await makeRelease(nowMs);
  for (const role of ['timestamp', 'targets', 'snapshot'] as const) {
    await proposeRoot({ ...release, role, nowMs });
    await signBy(release, 'root-2', 'root-3');
    await acceptProposal(release.keysPath);
  }
  await signRelease({ ...release, nowMs });
  expect(await bootFrom(release)).toEqual({ refused: [], root: 4 });
});

test('a root below its threshold is not published, and says what it lacks', async () => {
  await using release = await makeRelease(nowMs);
  const { keysPath } = release;
  await proposeRoot({ keysPath, role: 'targets', nowMs });
  await signBy(release, 'root-1');
  await expect(acceptProposal(keysPath)).rejects.toMatchObject({
    code: 'ROOT_UNSIGNED',
    message: expect.stringContaining('has 1 of 2 signatures of the keys that were'),
  });
  await signBy(release, 'root-1');
  await expect(acceptProposal(keysPath)).rejects.toMatchObject({ code: 'ROOT_UNSIGNED' });
  expect(await bootFrom(release)).toEqual({ refused: [], root: 1 });
});

test('a root that one key signed is refused by a machine, whoever publishes it', async () => {
  await using release = await makeRelease(nowMs);
  await proposeRoot({ ...release, role: 'targets', nowMs });
  await signBy(release, 'root-3');
  const bytes = await readFile(proposalPathOf(release.keysPath));
  await writeFile(join(release.releasePath, 'metadata/2.root.json'), bytes);
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual(['metadata/2.root.json: UNTRUSTED']);
  expect(lines.join('\n')).toContain('1/2 keys');
});

test('a key of the root that went no longer counts', async () => {
  await using release = await makeRelease(nowMs);
  const [, , third = ''] = await rootIds(release);
  await proposeRoot({ ...release, role: 'root', insteadOf: third, nowMs });
  await signBy(release, 'root-1', 'root-2');
  await acceptProposal(release.keysPath);
  await proposeRoot({ ...release, role: 'targets', nowMs });
  await signBy(release, 'root-1');
  await expect(signBy(release, 'root-3')).rejects.toMatchObject({ code: 'USAGE' });
  await expect(acceptProposal(release.keysPath)).rejects.toMatchObject({ code: 'ROOT_UNSIGNED' });
});

test('what the old key of a role signed is refused after its rotation', async () => {
  await using release = await makeRelease(nowMs);
  const path = join(release.releasePath, 'metadata/timestamp.json');
  const before = await readFile(path);
  await proposeRoot({ ...release, role: 'timestamp', nowMs });
  await signBy(release, 'root-1', 'root-3');
  await acceptProposal(release.keysPath);
  await signRelease({ ...release, nowMs });
  await writeFile(path, before);
  expect((await bootFrom(release)).refused).toEqual(['metadata/timestamp.json: UNTRUSTED']);
});

test('a key that is held elsewhere joins the root by its public half alone', async () => {
  await using release = await makeRelease(nowMs);
  const elsewhere = join(release.folder, 'safe.key');
  const made = await makeKey(elsewhere);
  const key = await readPublicKey(join(release.folder, 'safe.pub'));
  expect(key.keyID).toBe(made.key.keyID);
  const [first = ''] = await rootIds(release);
  const proposed = await proposeRoot({ ...release, role: 'root', insteadOf: first, key, nowMs });
  expect(proposed.changes).toEqual([`root - ${first}`, `root + ${key.keyID}`]);
  await signBy(release, 'root-2', 'root-3');
  expect(await acceptProposal(release.keysPath)).toBe(2);
  // The next root is signed by the new holder, with no key of the root on this machine.
  await proposeRoot({ ...release, role: 'snapshot', nowMs });
  await signProposal({ keysPath: release.keysPath, keyPath: elsewhere });
  for (const name of ['root-1', 'root-3']) {
    await rename(join(release.keysPath, `${name}.key`), join(release.folder, `${name}.key`));
  }
  const counts = await signProposal({
    keysPath: release.keysPath,
    keyPath: join(release.folder, 'root-3.key'),
  });
  expect(counts).toMatchObject({ byOld: { has: 2, needs: 2 }, byNew: { has: 2, needs: 2 } });
  expect(await acceptProposal(release.keysPath)).toBe(3);
});

test('the timestamp is signed anew alone, with no other key there', async () => {
  await using release = await makeRelease(nowMs);
  for (const name of ['targets', 'snapshot', 'root-1', 'root-2', 'root-3']) {
    await rename(join(release.keysPath, `${name}.key`), join(release.folder, `${name}.key`));
  }
  expect(await refreshTimestamp({ ...release, nowMs })).toBe(2);
  expect(await bootFrom(release)).toEqual({ refused: [], root: 1 });
  await writeFile(join(release.releasePath, 'vmlinuz'), 'another kernel');
  await expect(signRelease({ ...release, nowMs })).rejects.toMatchObject({ code: 'KEY_MISSING' });
});

test('a release whose file is another than was signed is not published', async () => {
  await using release = await makeRelease(nowMs);
  const { versions } = (await checkRelease({ ...release, nowMs })).release;
  expect(versions).toEqual({ root: 1, timestamp: 1, snapshot: 1, targets: 1 });
  await writeFile(join(release.releasePath, 'vmlinuz'), 'another kernel');
  await expect(checkRelease({ ...release, nowMs })).rejects.toThrow(
    'vmlinuz is not what was signed; sign it: zos release sign.',
  );
});
