import { execFile } from 'node:child_process';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NOW_MS } from '../../support/contracts.ts';
import { openDirectory } from '../../support/directory.ts';
import { boot } from '../../support/release/boot.ts';
import { openMirror } from '../../support/release/mirror.ts';
import { makeRelease, type TestRelease } from '../../support/release/release.ts';

const ROOT = join(import.meta.dirname, '../../..');

type Ran = { readonly status: number; readonly out: string; readonly err: string };

/** The command as people run it, on the keys and the release of a test. */
async function zosRelease(release: TestRelease, ...args: readonly string[]): Promise<Ran> {
  const { keysPath, releasePath } = release;
  const where = ['--keys', keysPath, '--release', releasePath];
  const all = [join(ROOT, 'src/bot/main.ts'), 'release', ...args, ...where];
  return new Promise((resolve) => {
    execFile(process.execPath, all, { cwd: ROOT }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

test('two holders rotate a key of the root, each where it is held, and it is published', async () => {
  await using release = await makeRelease(Date.now());
  await using directory = await openDirectory({ trustedRoot: release.root });
  directory.clock.nowMs = Date.now();
  const made = await zosRelease(release, 'keys', '--make', join(release.folder, 'new.key'));
  expect(made.out).toContain('for nobody else; public:');
  const gone = (await readFile(join(release.keysPath, 'root-2.pub'), 'utf8')).trim();
  expect(gone).toMatch(/^[0-9a-f]{64}$/u);
  const listed = await zosRelease(release, 'keys', '--json');
  const { roles } = JSON.parse(listed.out) as { roles: { role: string; keys: { id: string }[] }[] };
  const [, second] = roles.find(({ role }) => role === 'root')?.keys ?? [];
  const way = ['--public', join(release.folder, 'new.pub'), '--instead-of', second?.id ?? ''];
  const proposed = await zosRelease(release, 'rotate', 'root', ...way);
  expect(proposed.out).toContain('signed by 0 of 2 keys of the root that is');
  const early = await zosRelease(release, 'publish');
  expect(early).toMatchObject({
    status: 2,
    err: expect.stringContaining('zos release: The proposed root 2 has 0 of 2 signatures'),
  });
  // Each holder brings a key, signs, and takes it away again.
  for (const name of ['root-1', 'root-3']) {
    const away = join(release.folder, `${name}.key`);
    await rename(join(release.keysPath, `${name}.key`), away);
    expect((await zosRelease(release, 'sign', '--root-key', away)).status).toBe(0);
  }
  await rm(join(release.keysPath, 'root-2.key'));
  const done = await zosRelease(release, 'publish', '--directory', directory.url);
  expect(done).toMatchObject({ status: 0, err: '' });
  expect(done.out).toMatch(/^release: root 2, timestamp \d+, .*knows\n$/u);
  expect((await directory.store.lowestRelease())?.versions.root).toBe(2);
  await using mirror = await openMirror(release.releasePath);
  expect((await boot([mirror.url], release)).fetched?.versions.root).toBe(2);
});

test('the timestamp is refreshed by itself', async () => {
  await using release = await makeRelease(Date.now());
  const refreshed = await zosRelease(release, 'refresh', '--json');
  expect(JSON.parse(refreshed.out)).toEqual({ timestamp: 2 });
});

test('keys of the time when one was enough are refused, with what to do', async () => {
  await using release = await makeRelease(NOW_MS);
  const path = join(release.keysPath, 'root.json');
  const text = await readFile(path, 'utf8');
  await rm(path);
  await writeFile(path, text.replace('"threshold":2', '"threshold":1'));
  expect(await zosRelease(release, 'keys')).toMatchObject({
    status: 2,
    err: expect.stringContaining('and build the image anew'),
  });
});
