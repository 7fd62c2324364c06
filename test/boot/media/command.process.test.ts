import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBot } from '../../../boot/grid/bot.ts';
import { addMedia } from '../../../boot/media/command.ts';
import type { Surroundings } from '../../../boot/surroundings.ts';
import { FARM_AREA, readFarmArea } from '../../../src/artifact/farm-area.ts';
import { type BootMedia, parseBootMedia } from '../../../src/artifact/spec.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { verifyJoinToken } from '../../../src/identity/farm.ts';
import { run } from '../../../src/host/exec.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { readCpio } from '../../../src/lib/cpio.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { startDirectory } from '../../bot/support/directory-process.ts';

// A farmer's command, with a farm that a real directory knows and a release of small files.
const REPOSITORY = join(import.meta.dirname, '../../..');
const MIRROR = 'http://192.0.2.1:8081';
const stack = new AsyncDisposableStack();
let root: string;
let home: string;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-media-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  root = join(folder, 'root');
  home = join(folder, 'home');
  await makeRelease();
  await using directory = await startDirectory(join(folder, 'directory'));
  const bot = openBot({ root: REPOSITORY, home, directoryUrl: directory.url });
  await bot.zos({ args: ['identity', 'new'] });
  await bot.zos({ args: ['farm', 'create', 'barn'] });
}, MINUTE_MS);

afterAll(() => stack.disposeAsync());

test(
  'every image holds a token of its own, which the farmer signed and one node can use',
  async () => {
    const tokens = new Set<string>();
    for (const name of ['one.img', 'two.img', 'disc.iso']) {
      const format = name.endsWith('.iso') ? 'iso' : 'usb';
      const { out, err } = await media(format, name);
      expect(JSON.parse(out)).toMatchObject({ format, path: join(root, name) });
      const file = parseBootMedia(await areaOf(join(root, name)));
      tokens.add(checkFarm(file));
      expect(`${out}${err}`).not.toContain(file.token?.payload);
    }
    expect(tokens.size).toBe(3);
  },
  MINUTE_MS,
);

test(
  'a folder for a PXE server holds all that it names, and tells what to set',
  async () => {
    await media('pxe', 'pxe');
    const folder = join(root, 'pxe');
    const names = await readdir(folder);
    const readme = await readFile(join(folder, 'README.txt'), 'utf8');
    const script = await readFile(join(folder, 'boot.ipxe'), 'utf8');
    const named = `${readme}${script}`.matchAll(/(?:zos\/|--name \S+ )([a-z-]+\.[a-z]+)/gu);
    for (const [, name = ''] of named) expect(names).toContain(name);
    for (const name of ['vmlinuz', 'vmlinuz.sig', 'initramfs.cpio.sig'])
      expect(names).toContain(name);
    const [member] = readCpio(await readFile(join(folder, 'farm.cpio')));
    expect(member?.path).toBe('farm.json');
    checkFarm(parseBootMedia(member?.bytes ?? new Uint8Array()));
    expect(await readFile(join(folder, 'farm.json'))).toEqual(Buffer.from(member?.bytes ?? []));
  },
  MINUTE_MS,
);

test(
  'a folder for UEFI holds the kernel, the keys as files for a setup, and how',
  async () => {
    await media('uefi', 'uefi');
    const keys = await readdir(join(root, 'uefi/keys'));
    const expected = ['KEK', 'PK', 'db'].flatMap((name) => [`${name}.auth`, `${name}.der`]);
    expect(keys.toSorted()).toEqual(expected.toSorted());
    checkFarm(parseBootMedia(await readFile(join(root, 'uefi/farm.json'))));
    expect(await readFile(join(root, 'uefi/zos.efi'), 'utf8')).toBe('zos.efi');
    // Made again, it takes the old one's place.
    await media('uefi', 'uefi');
  },
  MINUTE_MS,
);

test('a part that is missing is told before a token is signed', async () => {
  const path = join(root, 'dist/release/zos.efi');
  await rm(path);
  await expect(media('usb', 'missing.img')).rejects.toMatchObject({ code: 'PART_MISSING' });
  await writeFile(path, 'zos.efi');
  expect(await readdir(root)).not.toContain('missing.img');
});

test('a part that was built after the release was signed is told, and nothing is made', async () => {
  const path = join(root, 'dist/release/vmlinuz');
  await writeFile(path, 'a newer kernel');
  await expect(media('usb', 'stale.img')).rejects.toThrow(/vmlinuz is not what its release was/u);
  await writeFile(path, 'vmlinuz');
  expect(await readdir(root)).not.toContain('stale.img');
});

test('nothing is written but what this command makes: no device, nobody’s folder', async () => {
  await expect(media('usb', '/dev/null')).rejects.toThrow('/dev/null is no file');
  await mkdir(join(root, 'photos'));
  await expect(media('pxe', 'photos')).rejects.toThrow(/was not made by this/u);
  await expect(media('usb', 'photos')).rejects.toThrow(/is no file/u);
  expect(await readdir(join(root, 'photos'))).toEqual([]);
});

test('a farm that there is not, and a mirror that is none, are told', async () => {
  await expect(media('usb', 'x.img', { farm: 'shed' })).rejects.toThrow(/no farm shed.*barn/u);
  await expect(media('usb', 'x.img', { mirror: 'barn' })).rejects.toThrow('"barn" is no mirror');
  expect(await readdir(root)).not.toContain('x.img');
});

type Change = { readonly farm?: string; readonly mirror?: string };

async function media(
  format: string,
  name: string,
  { farm = 'barn', mirror = MIRROR }: Change = {},
): Promise<{ out: string; err: string }> {
  const said = { out: '', err: '' };
  const around: Surroundings = {
    root,
    home,
    directoryUrl: undefined,
    isJson: true,
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    nowMs: () => Date.now(),
    signal: AbortSignal.timeout(MINUTE_MS),
  };
  const program = new Command().exitOverride();
  addMedia(program, () => around);
  const out = name.startsWith('/') ? name : join(root, name);
  const args = ['--farm', farm, '--format', format, '--mirrors', mirror, '--out', out];
  await program.parseAsync(['media', ...args], { from: 'user' });
  return said;
}

function checkFarm(file: BootMedia): string {
  expect(file.mirrors).toEqual([MIRROR]);
  if (file.farmer === null || file.token === null) throw new Error('No token.');
  const farmer = verifyIdentity(file.farmer);
  return verifyJoinToken(file.token, { farmer, grid: 'test', nowMs: Date.now() }).id;
}

async function areaOf(path: string): Promise<Uint8Array> {
  const image = await readFile(path);
  const { offsetBytes, lengthBytes } = FARM_AREA;
  const area = new Uint8Array(image.subarray(offsetBytes, offsetBytes + lengthBytes));
  return readFarmArea(area) ?? new Uint8Array();
}

/** The repository's own code, beside a release that is small. */
async function makeRelease(): Promise<void> {
  const release = join(root, 'dist/release');
  const keys = join(root, 'dist/keys/secure-boot');
  await mkdir(release, { recursive: true });
  await mkdir(keys, { recursive: true });
  await symlink(join(REPOSITORY, 'src'), join(root, 'src'));
  await symlink(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'));
  const names = ['vmlinuz', 'vmlinuz.sig', 'initramfs.cpio', 'initramfs.cpio.sig', 'zos.efi'];
  for (const name of [...names, 'systemd-bootx64.efi']) await writeFile(join(release, name), name);
  const loader = Buffer.alloc(4096);
  loader.writeUInt16LE(0xaa55, 510);
  for (const name of ['zos-bios.img', 'zos-bios.cd', 'zos-bios.pxe']) {
    await writeFile(join(release, name), loader);
  }
  await writeTargets(release);
  for (const name of ['PK', 'KEK', 'db']) {
    await writeFile(join(keys, `${name}.auth`), name);
    const subject = ['-subj', `/CN=${name}`, '-days', '2', '-keyout', join(root, 'key')];
    const form = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject];
    await run({ file: 'openssl', args: [...form, '-out', join(keys, `${name}.crt`)] });
  }
}

async function writeTargets(release: string): Promise<void> {
  const names = await readdir(release);
  const rows = names.map(async (name) => {
    const sha256 = sha256Hex(await readFile(join(release, name)));
    return [name, { hashes: { sha256 } }] as const;
  });
  const targets = Object.fromEntries(await Promise.all(rows));
  await mkdir(join(release, 'metadata'));
  await writeFile(join(release, 'metadata/targets.json'), JSON.stringify({ signed: { targets } }));
}
