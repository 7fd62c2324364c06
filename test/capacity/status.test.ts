import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capacitySchema, offerSchema } from '../../src/capacity/spec.ts';
import { capacityOf, featuresOf, hardwareOf, type Inventory } from '../../src/capacity/status.ts';
import { GiB, MiB } from '../../src/lib/units.ts';

const RESERVE_BYTES = 208 * MiB;

const MACHINE: Inventory = {
  board: 'QEMU Standard PC',
  processor: 'QEMU TCG',
  processorCount: 2,
  processorFlags: ['fpu', 'sse2'],
  memoryBytes: 1024 * MiB,
  networkCards: ['eth0 virtio_net 52:54:00:00:00:01'],
  disks: ['vda 8.0 GiB solid-state'],
  dataDisks: [{ lengthBytes: 8 * GiB, class: 'ssd' }],
};

const anyMachine = fc.record({
  ...Object.fromEntries(Object.entries(MACHINE).map(([name, value]) => [name, fc.constant(value)])),
  processorCount: fc.integer({ min: 1, max: 1024 }),
  memoryBytes: fc.integer({ min: 0, max: 16 * 1024 * GiB }),
  dataDisks: fc.array(
    fc.record({
      lengthBytes: fc.integer({ min: 0, max: 100 * 1024 * GiB }),
      class: fc.constantFrom('ssd', 'hdd'),
    }),
    { maxLength: 5 },
  ),
}) as unknown as fc.Arbitrary<Inventory>;

test('what is offered is never more than there is, less the reserve', () => {
  fc.assert(
    fc.property(anyMachine, (machine) => {
      const capacity = capacitySchema.parse(capacityOf(machine, RESERVE_BYTES));
      const roomBytes = machine.dataDisks
        .map(({ lengthBytes }) => lengthBytes - Math.min(lengthBytes / 20, 10 * GiB))
        .reduce((sum, bytes) => sum + bytes, 0);
      const imagesInMemory = machine.dataDisks.every((disk) => disk.class === 'hdd');
      const memoryGiven = capacity.mruBytes + (imagesInMemory ? capacity.sruBytes : 0);
      expect(memoryGiven).toBeLessThanOrEqual(Math.max(0, machine.memoryBytes - RESERVE_BYTES));
      const diskGiven = capacity.hruBytes + (imagesInMemory ? 0 : capacity.sruBytes);
      expect(diskGiven).toBeLessThanOrEqual(roomBytes);
    }),
  );
});

test('a machine of 1 GiB with a disk of 8 GiB offers this', () => {
  expect(capacityOf(MACHINE, RESERVE_BYTES)).toEqual({
    cru: 2,
    mruBytes: 816 * MiB,
    sruBytes: 7782 * MiB,
    hruBytes: 0,
  });
});

test('disks of both kinds are offered each for what it is', () => {
  const dataDisks: Inventory['dataDisks'] = [
    { lengthBytes: 8 * GiB, class: 'ssd' },
    { lengthBytes: 100 * GiB, class: 'hdd' },
    { lengthBytes: 100 * GiB, class: 'hdd' },
  ];
  expect(capacityOf({ ...MACHINE, dataDisks }, RESERVE_BYTES)).toMatchObject({
    sruBytes: 7782 * MiB,
    hruBytes: 190 * GiB,
  });
});

test('without a disk a quarter of the memory holds images, and is not offered twice', () => {
  const { mruBytes, sruBytes } = capacityOf({ ...MACHINE, dataDisks: [] }, RESERVE_BYTES);
  expect(sruBytes).toBe(204 * MiB);
  expect(mruBytes + sruBytes).toBe(816 * MiB);
});

test('a machine too small for the system offers nothing', () => {
  expect(
    capacityOf({ ...MACHINE, memoryBytes: 100 * MiB, dataDisks: [] }, RESERVE_BYTES).mruBytes,
  ).toBe(0);
});

test('facts longer than an offer may hold are cut', () => {
  const hardware = hardwareOf({
    ...MACHINE,
    board: 'b'.repeat(500),
    networkCards: Array.from({ length: 100 }, () => 'n'.repeat(300)),
  });
  expect(() => offerSchema.shape.hardware.parse(hardware)).not.toThrow();
});

test('features are what the hardware has, and a level needs every one below it', () => {
  const v2 = ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3'];
  const v3 = ['abm', 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'movbe', 'xsave'];
  const of = (processorFlags: string[], hasTpm = false) =>
    featuresOf({ ...MACHINE, processorFlags }, hasTpm);
  expect(of([])).toEqual(['data-disk']);
  expect(of([...v2, 'vmx'], true)).toEqual(['data-disk', 'tpm', 'virtualization', 'x86-64-v2']);
  expect(of([...v2, ...v3, 'svm'])).toEqual([
    'data-disk',
    'virtualization',
    'x86-64-v2',
    'x86-64-v3',
  ]);
  expect(of(v3)).toEqual(['data-disk']);
  expect(featuresOf({ ...MACHINE, dataDisks: [] }, false)).toEqual([]);
});
