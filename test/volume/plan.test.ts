import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GiB, MiB } from '../../src/lib/units.ts';
import { planDataDisk, type SeenDisk } from '../../src/volume/plan.ts';

const BLANK: SeenDisk = {
  path: '/dev/vda',
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
  content: { kind: 'ext4', label: 'zos-data' },
};

function said(disks: readonly SeenDisk[], takeBlankDisks: boolean): string {
  const step = planDataDisk(disks, takeBlankDisks);
  return step.do === 'none' ? step.because.join('; ') : `${step.do} ${step.disk.path}`;
}

const anyDisk = fc.record({
  path: fc.stringMatching(/^\/dev\/vd[a-f]$/),
  lengthBytes: fc.constantFrom(0, MiB, 8 * GiB, 900 * GiB),
  isRotating: fc.boolean(),
  isReadOnly: fc.boolean(),
  isRemovable: fc.boolean(),
  isInUse: fc.boolean(),
  content: fc.oneof(
    fc.constant({ kind: 'blank' as const }),
    fc.constantFrom('', 'root', 'zos-data').map((label) => ({ kind: 'ext4' as const, label })),
    fc.constant({ kind: 'foreign' as const, because: 'it does not begin with zeros' }),
  ),
});

test('a disk is made anew only when it is blank, free and consented to', () => {
  fc.assert(
    fc.property(fc.array(anyDisk), fc.boolean(), (disks, takeBlankDisks) => {
      const step = planDataDisk(disks, takeBlankDisks);
      if (step.do === 'none') {
        expect(step.because).toHaveLength(Math.max(1, disks.length));
        return;
      }
      expect(step.disk.isReadOnly || step.disk.isInUse).toBe(false);
      if (step.do === 'mount') {
        expect(step.disk.content).toEqual({ kind: 'ext4', label: 'zos-data' });
      } else {
        expect(takeBlankDisks).toBe(true);
        expect(step.disk.content.kind).toBe('blank');
        expect(step.disk.isRemovable).toBe(false);
      }
    }),
  );
});

test('ours goes before any blank one', () => {
  expect(said([BLANK, OURS], true)).toBe('mount /dev/vdb');
});

test('without consent a blank disk stays blank, and it is said', () => {
  expect(said([BLANK], false)).toBe(
    '/dev/vda: it is blank, and nobody allowed to take blank disks',
  );
});

test('of blank disks the solid-state one is taken, then the larger', () => {
  const slow = { ...BLANK, path: '/dev/sda', isRotating: true, lengthBytes: 900 * GiB };
  const large = { ...BLANK, path: '/dev/vdc', lengthBytes: 9 * GiB };
  expect(said([slow, BLANK, large], true)).toBe('format /dev/vdc');
});

test('each disk that is not taken says why', () => {
  const disks: SeenDisk[] = [
    { ...BLANK, path: '/dev/a', content: { kind: 'ext4', label: 'root' } },
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
  expect(said([], true)).toBe('there is no disk');
});
