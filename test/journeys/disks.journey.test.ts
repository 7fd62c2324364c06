import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { openSelf } from '../../src/node/bringup/identity.ts';
import { countBoot } from '../../src/disk/store.ts';
import { MiB, MINUTE_MS } from '../../src/lib/units.ts';
import { runInGuest } from '../support/guest/guest.ts';

// Two machines with real kernels and disks: one whose disks fail while it runs, and one that finds
// at its start what somebody may have plugged in.
const ROOT = join(import.meta.dirname, '../..');
const DEADLINE_MS = 8 * MINUTE_MS;
const DISK_MIB = 300;
type Found = Record<string, Record<string, unknown>>;

let folder: string;
let running: Found;
let starting: Found;
let foreign: { readonly before: string; readonly running: string };
let another = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-disks-'));
  const [one, two] = [await makeDisk('one'), await makeDisk('two')];
  const strange = await makeDisk('foreign');
  await write(strange, 512, Buffer.from('EFI PART'));
  await write(strange, 100 * MiB, Buffer.from('somebody’s'));
  const before = await hashOf(strange);
  const other = { path: strange, kind: 'nvme', serial: 'FOREIGN' } as const;
  const wish = { root: ROOT, folder, deadlineMs: DEADLINE_MS };
  const script = (name: string): string => join(ROOT, `test/support/disks/${name}.ts`);
  running = (await runInGuest({
    ...wish,
    script: script('running'),
    diskPaths: [one, two],
    machine: { disks: [other] },
  })) as Found;
  foreign = { before, running: await hashOf(strange) };
  const [twin, lost, dead] = [join(folder, 'twin'), await makeOther(), await makeDead()];
  await copyFile(two, twin);
  starting = (await runInGuest({
    ...wish,
    script: script('starting'),
    diskPaths: [two],
    machine: {
      disks: [
        other,
        { path: twin, kind: 'virtio', serial: 'TWIN' },
        { path: lost, kind: 'virtio', serial: 'OTHER' },
        { path: dead, kind: 'ahci', serial: 'DEAD' },
      ],
    },
  })) as Found;
}, 20 * MINUTE_MS);

afterAll(async () => rm(folder, { recursive: true, force: true }));

async function makeDisk(name: string): Promise<string> {
  const path = join(folder, name);
  await using file = await open(path, 'w');
  await file.truncate(DISK_MIB * MiB);
  return path;
}

/** The data disk of a node of before, which started more often than this one. */
async function makeOther(): Promise<string> {
  const path = await makeDisk('other');
  const content = join(folder, 'content');
  await mkdir(content);
  another = (await openSelf(join(content, 'node'))).identity.id;
  await countBoot([join(content, 'node')], { bootId: 'before', machine: '' });
  const args = ['-q', '-t', 'ext4', '-L', 'zos-data', '-d', content, path];
  await run({ file: 'mke2fs', args });
  return path;
}

/** A data disk with its label, and with nothing behind it that a kernel could mount. */
async function makeDead(): Promise<string> {
  const path = await makeDisk('dead');
  await run({ file: 'mke2fs', args: ['-q', '-t', 'ext4', '-L', 'zos-data', path] });
  await write(path, 2048, Buffer.alloc(16 * MiB, 0xff));
  return path;
}

async function write(path: string, at: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
}

async function hashOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

test('both machines told all of it', () => {
  expect([running['error'], starting['error']]).toEqual([undefined, undefined]);
});

test('two blank disks are taken, and each holds the node’s key; a foreign one is named', () => {
  expect(running['start']).toMatchObject({
    boots: 1,
    disks: ['zos-disk-0 /run/zos/disks/zos-disk-0', 'zos-disk-1 /run/zos/disks/zos-disk-1'],
    refused: ['FOREIGN: it holds a GPT partition table'],
    areCopiesSame: true,
    wrong: {},
  });
  const told = running['start']?.['told'] as [string, string | null, string][];
  expect(told.find(([serial]) => serial === 'FOREIGN')).toEqual(['FOREIGN', null, 'good']);
});

test('a foreign disk is the same to the last byte as long as nobody consented', () => {
  expect(foreign.running).toBe(foreign.before);
});

test('a full disk is said by name with numbers, and the node goes on writing its records', () => {
  expect(running['full']).toMatchObject({ refusedBy: 'ENOSPC', isLost: false, isFreed: true });
  expect(running['full']?.['wrong']).toEqual({
    DISK_FULL: expect.stringMatching(
      /^disk zos-disk-0 \(\/dev\/vda\) is full: .+ of 300\.0 MiB are free; end a contract/u,
    ),
  });
  expect(running['full']?.['after']).toEqual({});
});

test('a disk with errors is left, and the node is the same on the other, where it was', () => {
  const id = running['start']?.['id'];
  expect(running['corrupt']).toMatchObject({
    isLost: true,
    disks: ['zos-disk-1'],
    id,
    seq: '1001',
    boots: 1,
  });
  expect(running['corrupt']?.['wrong']).toEqual({
    DISK_CORRUPT: expect.stringMatching(
      /^disk zos-disk-0 \(\/dev\/vda\) has .*errors? in its .*; replace it$/u,
    ),
  });
});

test('the last disk is pulled, and the node is the same in memory', () => {
  const id = running['start']?.['id'];
  const same = { path: null, id, seq: '1001', boots: 1 };
  expect(running['pulled']).toMatchObject({ isLost: true, ...same });
  expect(running['pulled']?.['wrong']).toMatchObject({
    DISK_GONE:
      'disk zos-disk-1 (/dev/vdb) is gone; put it back and start the machine again, or replace it',
  });
});

test('at the next start the node is the same by the disk that is left, and counts the start', () => {
  expect(starting['start']).toMatchObject({
    id: running['start']?.['id'],
    boots: 2,
    disks: ['zos-disk-0'],
  });
});

test('a copy, another node’s disk and a damaged one are each named, and not used', () => {
  const wrong = starting['start']?.['wrong'] as Record<string, string>;
  expect(wrong['DISK_TWIN']).toMatch(/is a copy of \/dev\/vd[abc], which is newer/u);
  expect(wrong['DISK_OF_ANOTHER']).toContain(
    `disk OTHER (/dev/vdc): it is the data disk of another node, ${another.slice(0, 12)}`,
  );
  expect(wrong['DISK_CORRUPT']).toMatch(/^disk DEAD \(\/dev\/sda\): .* can't be read: mount/u);
});

test('a key that may be on a damaged disk is waited for, and none is made anew', () => {
  expect(starting['lost']?.['isRefused']).toBe(true);
  expect(String(starting['lost']?.['waits'])).toContain('the key of this node, which may be on');
});

test('a disk is wiped by a word that names it, this node and that it is to be wiped, once', () => {
  expect(starting['consent']).toMatchObject({ before: 'foreign', after: 'ext4', takenCount: 1 });
  expect(starting['consent']?.['said']).toEqual([
    expect.stringMatching(/^consent to take disk FOREIGN waits: .*: it holds a GPT/u),
    expect.stringMatching(/^disk FOREIGN \(\/dev\/nvme0n1\) wiped and taken$/u),
  ]);
  expect(starting['consent']?.['disks']).toEqual(['zos-disk-0', 'FOREIGN']);
});
