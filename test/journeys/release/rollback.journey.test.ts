import { cp, link, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBot } from '../../../boot/grid/bot.ts';
import { type Directory, startDirectory } from '../../../boot/grid/directory.ts';
import { makeFarm } from '../../../boot/grid/farm.ts';
import type { Guest, GuestWish } from '../../../boot/lab/guest.ts';
import { type Lab, openLab } from '../../../boot/lab/lab.ts';
import { readKey } from '../../../boot/release/keys.ts';
import { signRelease } from '../../../boot/release/metadata.ts';
import { checkRelease, tellDirectory } from '../../../boot/release/publication.ts';
import {
  acceptProposal,
  proposeRoot,
  type Rotation,
  signProposal,
} from '../../../boot/release/root.ts';
import { openMediaPool } from '../../../boot/serve/media.ts';
import { openBootServer } from '../../../boot/serve/server.ts';
import { KERNEL_ARGUMENTS } from '../../../src/artifact/command-line.ts';
import { RELEASE_FILES } from '../../../src/artifact/spec.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

// One machine, one mirror that goes back to an older release, properly signed, and one thing after
// the other that could have remembered the newer one is taken away from the machine.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const MAC = '52:54:00:5a:02:01';
const PORTS = { directory: 8080, mirror: 8081 };
const onEvent = (): void => {};

const stack = new AsyncDisposableStack();
let folder: string;
let lab: Lab;
let keysPath: string;
let directory: Directory;
let initrdPath: string;
let diskPath: string;
let tpmPath: string;
let guest: Guest | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-rollback-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  // Keys of its own to rotate, which begin as those that the built first stage trusts.
  keysPath = join(folder, 'keys');
  await cp(join(ROOT, 'dist/keys'), keysPath, { recursive: true });
  lab = stack.use(await openLab({ name: 'rollback', accelerator: 'tcg' }));
  await lab.startDhcp({ scriptUrl: `http://${lab.address}:${PORTS.mirror}/boot.ipxe` });
  stack.defer(async () => directory.running.stop());
  await useDirectory('directory');
  await makeReleases();
  await serve('newer');
  const mirror = await openBootServer({
    address: lab.address,
    port: PORTS.mirror,
    releasePath: join(folder, 'live'),
    farm: { grid: 'lab', farmer: null, tokens: [], mirrors: [] },
  });
  const bot = openBot({ root: ROOT, home: join(folder, 'zos'), directoryUrl: directory.url });
  const farm = await makeFarm({ bot, name: 'farm', tokens: 1, onEvent });
  const media = openMediaPool({ ...farm, mirrors: [stack.use(mirror).url] });
  initrdPath = join(folder, 'initramfs.cpio');
  const firstStage = await readFile(join(ROOT, 'dist/release/initramfs.cpio'));
  await writeFile(initrdPath, Buffer.concat([firstStage, media.cpioFor(MAC)]));
  diskPath = await lab.makeDisk('disk', 512);
  tpmPath = await lab.makeTpm('tpm');
}, BOOT_MS);

afterEach(async () => {
  await guest?.powerOff();
  guest = undefined;
});

afterAll(() => stack.disposeAsync(), MINUTE_MS);

test(
  'a node that joined with a release remembers it on its disk and in its TPM',
  async () => {
    guest = await switchOn({ diskPath, tpmPath });
    const { text } = await guest.waitFor(/zos: agent release-remembered /u, BOOT_MS);
    expect(text).toContain('targets 2 disk and tpm');
    await guest.powerOff();
    await directory.running.stop();
    await cp(join(folder, 'directory'), join(folder, 'older-directory'), { recursive: true });
    await useDirectory('directory');
    await tellNewest('newer');
  },
  BOOT_MS,
);

test(
  'after a power cycle it refuses the release before, by its disk',
  async () => {
    await serve('older');
    guest = await switchOn({ diskPath, tpmPath });
    expect(await refusalOn(guest)).toMatch(refusalBy('the disk /dev/vda', 'timestamp'));
  },
  BOOT_MS,
);

test(
  'with its disk wiped, and the directory replaced by an older copy, it refuses by its TPM',
  async () => {
    await directory.running.stop();
    await useDirectory('older-directory');
    diskPath = await lab.makeDisk('wiped', 512);
    guest = await switchOn({ diskPath, tpmPath });
    expect(await refusalOn(guest)).toMatch(refusalBy('the TPM of this machine', 'targets'));
  },
  BOOT_MS,
);

test(
  'with no TPM and its disk wiped it refuses by the directory, and follows two new roots',
  async () => {
    await directory.running.stop();
    await useDirectory('directory');
    guest = await switchOn({ diskPath });
    expect(await refusalOn(guest)).toMatch(refusalBy('the directory', 'timestamp'));
    const { key } = await readKey(join(keysPath, 'root-2.key'));
    await rotateRoot({ role: 'root', insteadOf: key.keyID });
    await rotateRoot({ role: 'targets' });
    await sign('newer');
    await tellNewest('newer');
    await serve('newer');
    await guest.waitFor(/zos: boot metadata root 3 /u, BOOT_MS);
    await guest.waitFor(/zos: agent started/u, BOOT_MS);
  },
  BOOT_MS,
);

function refusalBy(who: string, role: string): RegExp {
  return new RegExp(`refused metadata/${role}\\.json: ROLLED_BACK .*${who} has seen`, 'u');
}

/** What the machine refused first; no agent ran until then. */
async function refusalOn(on: Guest): Promise<string> {
  const { text } = await on.waitFor(/refused metadata\/\w+\.json: /u, BOOT_MS);
  expect(on.lines.some((line) => line.text.includes('zos: agent '))).toBe(false);
  return text;
}

async function switchOn(wish: Pick<GuestWish, 'diskPath' | 'tpmPath'>): Promise<Guest> {
  const append = [...KERNEL_ARGUMENTS, 'console=ttyS0,115200'].join(' ');
  const kernel = { path: join(ROOT, 'dist/release/vmlinuz'), initrdPath, append };
  return lab.startGuest({ name: 'node', mac: MAC, memoryMiB: 1024, kernel, ...wish });
}

async function useDirectory(name: string): Promise<void> {
  const where = { root: ROOT, grid: 'lab', host: lab.address, port: PORTS.directory, onEvent };
  directory = await startDirectory({ ...where, folder: join(folder, name) });
}

/** Two releases of the same system: the newer one has one more address of the directory. */
async function makeReleases(): Promise<void> {
  for (const [name, urls] of [
    ['older', [directory.url]],
    ['newer', [directory.url, directory.url]],
  ] as const) {
    const path = join(folder, name);
    if (name === 'newer') await cp(join(folder, 'older'), path, { recursive: true });
    await mkdir(path, { recursive: true });
    for (const file of RELEASE_FILES) {
      if (file === 'grid.json' || name === 'newer') continue;
      await link(join(ROOT, 'dist/release', file), join(path, file)).catch(() => {});
    }
    const { identity, policy } = directory;
    const grid = { grid: 'lab', directory: { urls, identity }, record: { policy } };
    await writeFile(join(path, 'grid.json'), JSON.stringify(grid));
    await sign(name);
  }
}

async function sign(name: string): Promise<void> {
  const releasePath = join(folder, name);
  const firstStagePath = join(ROOT, 'dist/work/first.erofs');
  await signRelease({ releasePath, keysPath, firstStagePath, nowMs: Date.now() });
}

async function tellNewest(name: string): Promise<void> {
  const releasePath = join(folder, name);
  const { files } = await checkRelease({ releasePath, keysPath, nowMs: Date.now() });
  await tellDirectory(directory.url, files, undefined);
}

/** One key of the root is another; two of the three that were sign that, one by one. */
async function rotateRoot(wish: Pick<Rotation, 'role' | 'insteadOf'>): Promise<void> {
  await proposeRoot({ keysPath, nowMs: Date.now(), ...wish });
  for (const name of ['root-1.key', 'root-3.key'])
    await signProposal({ keysPath, keyPath: join(keysPath, name) });
  await acceptProposal(keysPath);
}

/** From one moment to the next the mirror has another release. */
async function serve(name: string): Promise<void> {
  await rm(join(folder, 'live'), { force: true });
  await symlink(join(folder, name), join(folder, 'live'));
}
