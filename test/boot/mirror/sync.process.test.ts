import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { signRelease } from '../../../boot/release/metadata.ts';
import { boot, refusals } from '../../support/release/boot.ts';
import { FAULTS, openMirror } from '../../support/release/mirror.ts';
import { makeRelease, resign, type TestRelease } from '../../support/release/release.ts';

const ROOT = join(import.meta.dirname, '../../..');
const nowMs = Date.now();
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-mirror-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Event = { readonly event: string } & Readonly<Record<string, unknown>>;

type Running = AsyncDisposable & {
  readonly next: (event: string) => Promise<Event>;
  readonly stop: () => Promise<number>;
};

/** `zos boot mirror` as a process of its own, listening on any port. */
function startMirror(...args: readonly string[]): Running {
  const child = spawn(
    process.execPath,
    [join(ROOT, 'src/bot/main.ts'), 'boot', 'mirror', '--folder', folder, ...args, '--json'],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'exit');
  const stop = async (): Promise<number> => {
    child.kill('SIGINT');
    await ended;
    return child.exitCode ?? -1;
  };
  return {
    next: async (wanted) => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`it ended with no event ${wanted}`);
        const event = JSON.parse(value) as Event;
        if (event.event === wanted) return event;
      }
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

/** Runs it once to its end; what it told and its exit status. */
async function syncOnce(
  ...args: readonly string[]
): Promise<{ status: number; events: readonly Event[] }> {
  const child = spawn(
    process.execPath,
    [join(ROOT, 'boot/boot.ts'), 'mirror', '--folder', folder, ...args, '--json'],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const events: Event[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    events.push(JSON.parse(line) as Event);
  }
  if (child.exitCode === null) await once(child, 'exit');
  return { status: child.exitCode ?? -1, events };
}

async function rootPath(release: TestRelease): Promise<string> {
  const path = join(release.folder, 'root.json');
  await writeFile(path, release.root);
  return path;
}

test('machines boot from a mirror that anybody runs, and it follows what is newer', async () => {
  await using release = await makeRelease(nowMs);
  await using source = await openMirror(release.releasePath);
  await using mirror = startMirror('--from', source.url, '--listen', '127.0.0.1:0');
  expect((await mirror.next('trusts'))['sha256']).toMatch(/^[0-9a-f]{64}$/u);
  const { url } = (await mirror.next('serves')) as unknown as { url: string };
  expect((await mirror.next('synced'))['versions']).toMatchObject({ targets: 1 });
  const first = await boot([url], release);
  expect(refusals(first.lines)).toEqual([]);
  expect(first.system?.equals(release.system)).toBe(true);
  await writeFile(join(release.releasePath, 'vmlinuz'), 'another kernel');
  await signRelease({ ...release, nowMs });
  expect((await mirror.next('synced'))['versions']).toMatchObject({ targets: 2 });
  expect((await boot([url], release)).fetched?.versions.targets).toBe(2);
  expect(await mirror.stop()).toBe(0);
});

test('it holds no key, and no file that a release does not have', async () => {
  await using release = await makeRelease(nowMs);
  await using source = await openMirror(release.releasePath);
  const { status } = await syncOnce('--from', source.url, '--root', await rootPath(release));
  expect(status).toBe(0);
  expect((await readdir(folder)).toSorted()).toEqual([
    'grid.json',
    'initramfs.cpio',
    'metadata',
    'system.erofs',
    'vmlinuz',
  ]);
  expect((await readdir(join(folder, 'metadata'))).toSorted()).toEqual(
    (await readdir(join(release.releasePath, 'metadata'))).toSorted(),
  );
});

test.each([
  ['a flipped bit in a file', { vmlinuz: FAULTS.flipped }, 'vmlinuz', 'DIGEST_MISMATCH'],
  ['a login page', { 'metadata/2.root.json': FAULTS.portal }, 'metadata/2.root.json', 'NOT_JSON'],
  [
    'a redirect',
    { 'metadata/timestamp.json': FAULTS.redirect },
    'metadata/timestamp.json',
    'HTTP_STATUS',
  ],
] as const)(
  'a source with %s is told by name, and the next one is taken',
  async (_, fault, ...what) => {
    await using release = await makeRelease(nowMs);
    await using bad = await openMirror(release.releasePath, fault);
    await using good = await openMirror(release.releasePath);
    const root = await rootPath(release);
    const { status, events } = await syncOnce('--from', bad.url, good.url, '--root', root);
    expect(status).toBe(0);
    const [artifact, code] = what;
    expect(events.find(({ event }) => event === 'refused')).toMatchObject({ artifact, code });
    expect(events.at(-1)).toMatchObject({ event: 'synced', from: good.url });
    const there = await readFile(join(folder, 'vmlinuz'));
    expect(there.equals(await readFile(join(release.releasePath, 'vmlinuz')))).toBe(true);
  },
);

test('a source that goes back, or stands still too long, changes nothing that is served', async () => {
  await using release = await makeRelease(nowMs);
  const root = await rootPath(release);
  await using source = await openMirror(release.releasePath);
  await resign(release, { timestamp: (signed) => (signed['version'] = 7) });
  expect((await syncOnce('--from', source.url, '--root', root)).status).toBe(0);
  const before = await readFile(join(folder, 'metadata/timestamp.json'));
  await resign(release, { timestamp: (signed) => (signed['version'] = 6) });
  const older = await syncOnce('--from', source.url, '--root', root);
  expect(older.status).not.toBe(0);
  expect(older.events.at(-1)).toMatchObject({
    artifact: 'metadata/timestamp.json',
    code: 'ROLLED_BACK',
  });
  await resign(release, {
    timestamp: (signed) => Object.assign(signed, { version: 8, expires: '2020-01-01T00:00:00Z' }),
  });
  const frozen = await syncOnce('--from', source.url, '--root', root);
  expect(frozen.events.at(-1)).toMatchObject({ code: 'EXPIRED' });
  expect((await readFile(join(folder, 'metadata/timestamp.json'))).equals(before)).toBe(true);
});
