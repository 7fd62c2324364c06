import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findLocalMedia, isDiskOnItsWay } from '../../../boot/program/local-media.ts';
import { FARM_AREA, writeFarmArea } from '../../../src/artifact/farm-area.ts';
import { concatBytes, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';

// Devices as files, found through a folder laid out like /sys: the same reads as on a machine.
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-media-'));
  await mkdir(join(folder, 'dev'));
  await mkdir(join(folder, 'block'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a built-in disk is read, and a stick comes before it', async () => {
  await plug('sda', { bytes: carrying('barn') });
  expect(await look()).toEqual({ found: 'barn on sda', refused: [] });
  await plug('sdb', { bytes: carrying('shed'), isRemovable: true });
  expect(await look()).toEqual({ found: 'shed on sdb', refused: [] });
});

test('a disc is read like a disk', async () => {
  await plug('sr0', { bytes: carrying('disc'), isRemovable: true });
  expect(await look()).toEqual({ found: 'disc on sr0', refused: [] });
});

test('disks that carry nothing, are too short or are not there say nothing', async () => {
  await plug('nvme0n1', { bytes: new Uint8Array(64 * 1024) });
  await plug('vda', { bytes: new Uint8Array(100) });
  await mkdir(join(folder, 'block/sr0'));
  expect(await look()).toEqual({ found: undefined, refused: [] });
});

test('a damaged farm file is refused by device and code, and the next device is tried', async () => {
  const damaged = carrying('barn');
  damaged[FARM_AREA.offsetBytes + 60] = (damaged[FARM_AREA.offsetBytes + 60] ?? 0) ^ 1;
  await plug('sda', { bytes: damaged });
  await plug('sdb', { bytes: around(writeFarmArea(utf8('{"grid":"x"}'))) });
  await plug('sdc', { bytes: carrying('barn') });
  expect(await look()).toEqual({
    found: 'barn on sdc',
    refused: ['sda/farm.json: DIGEST_MISMATCH', 'sdb/farm.json: MALFORMED'],
  });
});

test('loops, RAID and mapped devices are left alone', async () => {
  for (const name of ['loop0', 'md0', 'dm-0', 'ram0']) await plug(name, { bytes: carrying('x') });
  expect(await look()).toEqual({ found: undefined, refused: [] });
});

test('a stick whose disk has not shown up is waited for, and nothing else is', async () => {
  expect(await isDiskOnItsWay(folder)).toBe(false);
  const usb = join(folder, 'bus/usb/devices');
  for (const [name, kind] of [
    ['1-1:1.0', '03'],
    ['1-2:1.0', '08'],
  ] as const) {
    await mkdir(join(usb, name), { recursive: true });
    await writeFile(join(usb, name, 'bInterfaceClass'), `${kind}\n`);
  }
  await symlink('../devices/pci0000:00/ata1/block/sda', join(folder, 'block/sda'));
  expect(await isDiskOnItsWay(folder)).toBe(true);
  await symlink('../devices/pci0000:00/usb1/1-2/1-2:1.0/block/sdb', join(folder, 'block/sdb'));
  expect(await isDiskOnItsWay(folder)).toBe(false);
});

test('what leads elsewhere is not followed', async () => {
  await plug('sda', { bytes: carrying('barn') });
  await rm(join(folder, 'dev/sda'));
  await writeFile(join(folder, 'other'), carrying('barn'));
  await symlink(join(folder, 'other'), join(folder, 'dev/sda'));
  expect(await look()).toEqual({ found: undefined, refused: [] });
});

type Device = { readonly bytes: Uint8Array; readonly isRemovable?: boolean };

async function plug(name: string, { bytes, isRemovable = false }: Device): Promise<void> {
  await mkdir(join(folder, 'block', name));
  await writeFile(join(folder, 'block', name, 'removable'), isRemovable ? '1\n' : '0\n');
  await writeFile(join(folder, 'dev', name), bytes);
}

function carrying(grid: string): Uint8Array {
  const media = { grid, mirrors: ['http://192.0.2.1'], token: null, farmer: null };
  return around(writeFarmArea(utf8(JSON.stringify(media))));
}

function around(area: Uint8Array): Uint8Array {
  return concatBytes(new Uint8Array(FARM_AREA.offsetBytes), area, new Uint8Array(4096));
}

async function look(): Promise<{ found: string | undefined; refused: string[] }> {
  const refused: string[] = [];
  const local = await findLocalMedia({
    console: {
      refused: ({ artifact, error }) => void refused.push(`${artifact}: ${codeOf(error)}`),
    },
    sysPath: folder,
    devPath: join(folder, 'dev'),
  });
  const found = local === undefined ? undefined : `${local.media.grid} on ${local.device}`;
  return { found, refused };
}
