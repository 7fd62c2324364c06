import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GiB, MiB } from '../../src/lib/units.ts';
import { planConsent, planDataDisks, type SeenDisk } from '../../src/disk/plan.ts';

const BLANK: SeenDisk = {
  path: '/dev/vda',
  serial: 'blank-1',
  model: 'QEMU',
  partitionCount: 0,
  lengthBytes: 8 * GiB,
  isRotating: false,
  isReadOnly: false,
  isRemovable: false,
  isInUse: false,
  content: { kind: 'blank' },
};
const OURS: SeenDisk = {
  ...BLANK,
  path: '/dev/vdb',
  serial: 'ours-1',
  content: { kind: 'ext4', label: 'zos-data', uuid: '11' },
};

function said(disks: readonly SeenDisk[], takeBlankDisks: boolean): string {
  const { use, format, refused } = planDataDisks(disks, takeBlankDisks);
  return [
    ...use.map(({ path }) => `use ${path}`),
    ...format.map(({ path }) => `format ${path}`),
    ...refused.map(({ disk, because }) => `${disk.path}: ${because}`),
  ].join('; ');
}

const anyDisk = fc.record({
  path: fc.stringMatching(/^\/dev\/vd[a-f]$/),
  serial: fc.constantFrom('', 'one', 'two'),
  model: fc.constant(''),
  partitionCount: fc.constantFrom(0, 0, 1),
  lengthBytes: fc.constantFrom(0, MiB, 8 * GiB, 900 * GiB),
  isRotating: fc.boolean(),
  isReadOnly: fc.boolean(),
  isRemovable: fc.boolean(),
  isInUse: fc.boolean(),
  content: fc.oneof(
    fc.constant({ kind: 'blank' as const }),
    fc.constantFrom('', 'root', 'zos-data').map((label) => ({
      kind: 'ext4' as const,
      label,
      uuid: '22',
    })),
    fc.constant({ kind: 'foreign' as const, because: 'it does not begin with zeros' }),
  ),
});

test('a disk is made anew only when it is blank, free and consented to', () => {
  fc.assert(
    fc.property(fc.array(anyDisk), fc.boolean(), (disks, takeBlankDisks) => {
      const { use, format, refused } = planDataDisks(disks, takeBlankDisks);
      expect(use.length + format.length + refused.length).toBe(disks.length);
      for (const disk of use) {
        expect(disk.isReadOnly || disk.isInUse).toBe(false);
        expect(disk.content).toMatchObject({ kind: 'ext4', label: 'zos-data' });
      }
      for (const disk of format) {
        expect(takeBlankDisks).toBe(true);
        expect(disk.content.kind).toBe('blank');
        expect(disk.isReadOnly || disk.isInUse || disk.isRemovable).toBe(false);
        expect(disk.partitionCount).toBe(0);
      }
    }),
  );
});

test('a consent touches the one disk that it names, and a foreign one only to wipe it', () => {
  fc.assert(
    fc.property(
      fc.array(anyDisk),
      fc.constantFrom('', 'one', 'two'),
      fc.constantFrom('take' as const, 'wipe' as const),
      (disks, serial, what) => {
        const planned = planConsent(disks, { serial, do: what });
        if (!('disk' in planned)) return;
        const { disk } = planned;
        expect(disks.filter((each) => each.serial === serial)).toEqual([disk]);
        expect(serial).not.toBe('');
        expect(disk.isReadOnly || disk.isInUse).toBe(false);
        if (what === 'take') expect(disk.content.kind).toBe('blank');
      },
    ),
  );
});

test('a consent that can be done says by which disk, and one that can not says why', () => {
  const foreign: SeenDisk = {
    ...BLANK,
    path: '/dev/sda',
    serial: 'S1',
    partitionCount: 2,
    content: { kind: 'foreign', because: 'it holds a GPT partition table' },
  };
  const asked = (disks: readonly SeenDisk[], serial: string, what: 'take' | 'wipe'): string => {
    const planned = planConsent(disks, { serial, do: what });
    return 'disk' in planned ? planned.disk.path : planned.because;
  };
  expect(asked([foreign, BLANK], 'S1', 'wipe')).toBe('/dev/sda');
  expect(asked([foreign, BLANK], 'S1', 'take')).toBe('/dev/sda: it holds a GPT partition table');
  expect(asked([foreign, BLANK], 'S2', 'wipe')).toBe('no disk has the serial number S2');
  expect(asked([{ ...OURS, isInUse: true }], 'ours-1', 'wipe')).toBe('/dev/vdb: it is in use');
  expect(asked([foreign, { ...foreign, path: '/dev/sdb' }], 'S1', 'wipe')).toBe(
    '/dev/sda and /dev/sdb have the same serial number; take one of them out',
  );
});

test('ours is used again, and a blank one beside it with consent only', () => {
  expect(said([BLANK, OURS], true)).toBe('use /dev/vdb; format /dev/vda');
  expect(said([BLANK, OURS], false)).toBe(
    'use /dev/vdb; /dev/vda: it is blank, and nobody allowed to take blank disks',
  );
});

test('without consent a blank disk stays blank, and it is said', () => {
  expect(said([BLANK], false)).toBe(
    '/dev/vda: it is blank, and nobody allowed to take blank disks',
  );
});

test('of blank disks the solid-state one is taken first, then the larger', () => {
  const slow = { ...BLANK, path: '/dev/sda', isRotating: true, lengthBytes: 900 * GiB };
  const large = { ...BLANK, path: '/dev/vdc', lengthBytes: 9 * GiB };
  expect(said([slow, BLANK, large], true)).toBe(
    'format /dev/vdc; format /dev/vda; format /dev/sda',
  );
});

test('each disk that is not taken says why', () => {
  const disks: SeenDisk[] = [
    { ...BLANK, path: '/dev/a', content: { kind: 'ext4', label: 'root', uuid: '33' } },
    { ...BLANK, path: '/dev/b', content: { kind: 'foreign', because: 'it has data' } },
    { ...BLANK, path: '/dev/c', lengthBytes: 100 * MiB },
    { ...BLANK, path: '/dev/d', isInUse: true },
    { ...BLANK, path: '/dev/e', isReadOnly: true },
    { ...BLANK, path: '/dev/f', isRemovable: true },
  ];
  expect(said(disks, true).split('; ')).toEqual([
    '/dev/a: it holds a file system of somebody else',
    '/dev/b: it has data',
    '/dev/c: it has 100.0 MiB of the 256.0 MiB needed',
    '/dev/d: it is in use',
    '/dev/e: it is read-only',
    '/dev/f: it can be taken out',
  ]);
  expect(said([], true)).toBe('');
});
