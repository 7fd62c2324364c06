import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDiscImage } from '../../../boot/media/disc.ts';
import { makeStick } from '../../../boot/media/stick.ts';
import { FARM_AREA, readFarmArea, writeFarmArea } from '../../../src/artifact/farm-area.ts';
import { run } from '../../../src/host/exec.ts';
import { textOf, utf8 } from '../../../src/lib/bytes.ts';
import { KiB, MINUTE_MS } from '../../../src/lib/units.ts';

// Whether others read what we write: libblkid the tables, mtools the FAT, xorriso the disc.
let folder: string;
const FARM = '{"grid":"lab"}';
const TIME_SECONDS = 1_577_836_800;
const NAMES = ['vmlinuz', 'initramfs.cpio'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-media-'));
  for (const name of NAMES) await writeFile(join(folder, name), name.repeat(100_000));
  await writeFile(join(folder, 'loader'), loader());
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test(
  'a stick is made to the same bytes twice, with two partitions and every file',
  async () => {
    const [one, two] = [join(folder, 'one.img'), join(folder, 'two.img')];
    for (const path of [one, two]) await makeStick(stick(path));
    expect(await sha256(one)).toBe(await sha256(two));
    await rm(two);
    expect(await partitionsOf(one)).toEqual([
      '2048 2048 zos-bios 21686148-6449-6e6f-744e-656564454649',
      '4096 286720 zos-efi c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
    ]);
    for (const name of NAMES) {
      expect(await fatFile({ path: one, atSector: 4096, name })).toBe(name.repeat(100_000));
    }
    expect(await farmOf(one)).toBe(FARM);
  },
  MINUTE_MS,
);

test(
  'a disc is made to the same bytes twice, and is read as a disc and as a disk',
  async () => {
    const [one, two] = [join(folder, 'one.iso'), join(folder, 'two.iso')];
    for (const path of [one, two]) await makeDiscImage(await disc(path));
    expect(await sha256(one)).toBe(await sha256(two));
    await rm(two);
    expect(await farmOf(one)).toBe(FARM);
    const out = join(folder, 'extracted');
    const extract = ['-indev', one, '-osirrox', 'on', '-extract', '/zos/vmlinuz', out];
    await run({ file: 'xorriso', args: extract, env: { HOME: folder } });
    expect(await readFile(out, 'utf8')).toBe('vmlinuz'.repeat(100_000));
    const [efi = ''] = await partitionsOf(one);
    const [start = '', , name] = efi.split(' ');
    expect(name).toBe('zos-efi');
    const place = { path: one, atSector: Number(start), name: 'EFI/BOOT/BOOTX64.EFI' };
    expect(await fatFile(place)).toBe('vmlinuz'.repeat(100_000));
  },
  MINUTE_MS,
);

function stick(path: string): Parameters<typeof makeStick>[0] {
  return {
    path,
    loaderPath: join(folder, 'loader'),
    files: NAMES.map((name) => ({ from: join(folder, name), to: `/${name}` })),
    farmArea: writeFarmArea(utf8(FARM)),
    timeSeconds: TIME_SECONDS,
    say: () => {},
  };
}

async function disc(path: string): Promise<Parameters<typeof makeDiscImage>[0]> {
  const work = await mkdtemp(join(folder, 'disc-'));
  await mkdir(work, { recursive: true });
  const from = join(folder, 'vmlinuz');
  const { files: _files, ...common } = stick(path);
  return {
    ...common,
    folder: work,
    biosFiles: [{ from, to: '/zos/vmlinuz' }],
    efiFiles: [{ from, to: '/EFI/BOOT/BOOTX64.EFI' }],
  };
}

/** In the form of GRUB's: a boot sector, then what it loads. */
function loader(): Uint8Array {
  const bytes = Buffer.alloc(64 * KiB, 0x42);
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}

/** First sector, length, name and type of each. */
async function partitionsOf(path: string): Promise<string[]> {
  const args = ['--show', '--noheadings', '--output', 'START,SECTORS,NAME,TYPE', path];
  const listed = await run({ file: 'partx', args });
  const lines = listed.trim().split('\n');
  return lines.map((line) => line.trim().replaceAll(/ +/gu, ' '));
}

type FatPlace = { readonly path: string; readonly atSector: number; readonly name: string };

async function fatFile({ path, atSector, name }: FatPlace): Promise<string> {
  return run({ file: 'mtype', args: ['-i', `${path}@@${atSector * 512}`, `::/${name}`] });
}

async function farmOf(path: string): Promise<string> {
  await using file = await open(path, 'r');
  const area = Buffer.alloc(FARM_AREA.lengthBytes);
  await file.read(area, 0, area.length, FARM_AREA.offsetBytes);
  return textOf(readFarmArea(new Uint8Array(area)) ?? new Uint8Array());
}

async function sha256(path: string): Promise<string> {
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
