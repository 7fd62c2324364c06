import { copyFile, link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Guest } from '../../boot/lab/guest.ts';
import { type Lab, openLab } from '../../boot/lab/lab.ts';
import { startDirectory } from '../../boot/grid/directory.ts';
import { signRelease } from '../../boot/release/metadata.ts';
import { openBootServer } from '../../boot/serve/server.ts';
import type { GridFile } from '../../src/artifact/spec.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';

// One machine, and a row of mirrors that lie: each link of the chain has one bit flipped by one of
// them. The machine has to refuse each by name, and to boot from the one at the end that is honest.
const ROOT = join(import.meta.dirname, '../..');
const BOOT_MS = 15 * MINUTE_MS;
const FILES = ['vmlinuz', 'initramfs.cpio', 'system.erofs'];
const SUPERBLOCK_BYTES = 1024;
const METADATA = ['1.root.json', 'timestamp.json', 'snapshot.json', 'targets.json'];

const stack = new AsyncDisposableStack();
let folder: string;
let lab: Lab;
let guest: Guest;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-tamper-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  lab = stack.use(await openLab({ name: 'tamper', accelerator: 'tcg' }));
  // The machine remembers nothing: without a directory that tells what is newest it would wait.
  const { address } = lab;
  const directory = await startDirectory({
    ...{ root: ROOT, grid: 'lab', host: address, port: 8080, onEvent: () => {} },
    folder: join(folder, 'directory'),
  });
  const { url, identity } = stack.use(directory);
  const honest = await makeRelease('honest', { urls: [url], identity });
  const liars = [
    // In the order of the chain: what held at one mirror is not fetched from the next.
    await tamper(honest, 'metadata/1.root.json', 'metadata/2.root.json'),
    await tamper(honest, 'metadata/timestamp.json'),
    await tamper(honest, 'metadata/snapshot.json'),
    await tamper(honest, 'metadata/targets.json'),
    await tamper(honest, 'grid.json'),
    await tamper(honest, 'system.erofs'),
  ];
  const farm = { grid: 'lab', farmer: null, tokens: [], mirrors: [] };
  const mirrors: string[] = [];
  for (const releasePath of [...liars.slice(1), honest]) {
    const mirror = await openBootServer({ address: lab.address, releasePath, farm });
    mirrors.push(stack.use(mirror).url);
  }
  // The machine boots from the first liar: kernel and first stage are whole, what it fetches is
  // not.
  const first = await openBootServer({
    address: lab.address,
    releasePath: liars[0] ?? '',
    farm: { ...farm, mirrors },
    consoles: ['console=ttyS0,115200'],
  });
  await lab.startDhcp({ scriptUrl: stack.use(first).scriptUrl });
  guest = await lab.startGuest({ name: 'victim', mac: '52:54:00:5a:01:01', memoryMiB: 1024 });
  await guest.waitFor(/zos: agent /u, BOOT_MS);
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, MINUTE_MS);

const REFUSALS: [string, RegExp][] = [
  ['system.erofs', /zos: boot refused system\.erofs: DIGEST_MISMATCH /u],
  ['timestamp', /zos: boot refused \S*timestamp\.json: UNTRUSTED /u],
  ['snapshot', /zos: boot refused \S*snapshot\.json: (?:DIGEST_MISMATCH|UNTRUSTED) /u],
  ['targets', /zos: boot refused \S*targets\.json: (?:DIGEST_MISMATCH|UNTRUSTED) /u],
  ['root', /zos: boot refused \S*root\.json: UNTRUSTED /u],
  ['grid.json', /zos: boot refused grid\.json: DIGEST_MISMATCH /u],
];

test.each(REFUSALS)('one flipped bit in %s is refused by name', (_name, refusal) => {
  expect(guest.lines.map(({ text }) => text).join('\n')).toMatch(refusal);
});

test('nothing of a refused piece ran: the agent came after the honest mirror, and only then', () => {
  const lines = guest.lines.map(({ text }) => text);
  const agent = lines.findIndex((text) => text.includes('zos: agent '));
  const verified = lines.findIndex((text) => text.includes('zos: boot verified'));
  const refusals = lines.flatMap((text, at) => (text.includes('boot refused') ? [at] : []));
  expect(refusals.length).toBe(REFUSALS.length);
  expect(Math.max(...refusals)).toBeLessThan(verified);
  expect(verified).toBeLessThan(agent);
});

/** The release that was built here, signed anew with a grid of its own. */
async function makeRelease(name: string, directory: GridFile['directory']): Promise<string> {
  const releasePath = join(folder, name);
  await mkdir(releasePath);
  for (const file of FILES) {
    await copyFile(join(ROOT, 'dist/release', file), join(releasePath, file));
  }
  await writeFile(join(releasePath, 'grid.json'), JSON.stringify({ grid: 'lab', directory }));
  const firstStagePath = join(ROOT, 'dist/work/first.erofs');
  const keysPath = join(ROOT, 'dist/keys');
  await signRelease({ releasePath, keysPath, firstStagePath, nowMs: Date.now() });
  return releasePath;
}

/** A copy of a release in which one bit of one file is another; `as` renames the file. */
async function tamper(honest: string, from: string, as = from): Promise<string> {
  const name = basename(from).replace(/^\d+\./u, '');
  const path = join(folder, `liar-${name}`);
  await mkdir(join(path, 'metadata'), { recursive: true });
  const files = [...FILES, 'grid.json', ...METADATA.map((file) => `metadata/${file}`)];
  for (const file of files) await link(join(honest, file), join(path, file));
  const bytes = await readFile(join(honest, from));
  // Of metadata a digit of the year in which it expires: still well-formed, only signatures tell.
  // Of an image its head, for much of the rest is never fetched: the first stage has it already.
  const year = bytes.indexOf('"expires"');
  const at = year < 0 ? SUPERBLOCK_BYTES % bytes.length : bytes.indexOf('20', year) + 3;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await rm(join(path, as), { force: true });
  await writeFile(join(path, as), bytes);
  return path;
}
