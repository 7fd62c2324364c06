import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  computeUnitMicros,
  MICROS,
  networkUnitMicros,
  storageUnitMicros,
} from '../../src/capacity/units.ts';
import { GiB, MiB } from '../../src/lib/units.ts';

type Vectors = {
  readonly cu: readonly (readonly [number, number, number])[];
  readonly su: readonly { readonly h: number; readonly s: number; readonly su: number }[];
};

const file = new URL('../vectors/cloud-units.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

test('compute units are those of every worked example', () => {
  expect(vectors.cu).toHaveLength(19);
  for (const [processors, memoryGiB, units] of vectors.cu) {
    const compute = { cpuMillis: processors * 1000, memoryBytes: memoryGiB * GiB };
    const what = `${processors} processors, ${memoryGiB} GiB`;
    expect(computeUnitMicros(compute), `units of ${what}`).toBe(units * MICROS);
  }
});

test('storage units are those of every worked example', () => {
  expect(vectors.su).toHaveLength(5);
  for (const { h, s, su } of vectors.su) {
    const storage = { hruBytes: h * GiB, sruBytes: s * GiB };
    expect(storageUnitMicros(storage), `${h} GiB rotating, ${s} GiB solid`).toBe(su * MICROS);
  }
});

test('network units are gigabytes of 10^9', () => {
  expect(networkUnitMicros(0)).toBe(0);
  expect(networkUnitMicros(1_000_000_000)).toBe(MICROS);
  expect(networkUnitMicros(GiB)).toBe(1_073_741);
  expect(networkUnitMicros(999)).toBe(0);
});

test('parts of a processor and of a GiB count, rounded down to a millionth', () => {
  expect(computeUnitMicros({ cpuMillis: 250, memoryBytes: 512 * MiB })).toBe(125_000);
  expect(computeUnitMicros({ cpuMillis: 1, memoryBytes: 0 })).toBe(250);
  expect(computeUnitMicros({ cpuMillis: 0, memoryBytes: 1 })).toBe(0);
  expect(storageUnitMicros({ hruBytes: 1, sruBytes: 1 })).toBe(0);
  // Half a millionth of each makes one: the sum is rounded, not its parts.
  expect(storageUnitMicros({ hruBytes: 700_000, sruBytes: 0 })).toBe(0);
  expect(storageUnitMicros({ hruBytes: 0, sruBytes: 110_000 })).toBe(0);
  expect(storageUnitMicros({ hruBytes: 700_000, sruBytes: 110_000 })).toBe(1);
});

const gibibytes = fc.integer({ min: 0, max: 1_000_000 });
const processors = fc.integer({ min: 0, max: 100_000 });

test('units in integers are the published formulas, and no more for less', () => {
  fc.assert(
    fc.property(processors, gibibytes, gibibytes, (c, m, h) => {
      const units = Math.min(Math.max(m / 4, c / 2), Math.max(m / 8, c), Math.max(m / 2, c / 4));
      const memoryBytes = m * GiB;
      const found = computeUnitMicros({ cpuMillis: c * 1000, memoryBytes });
      // Eighths are exact in binary: here the formula itself has no rounding.
      expect(found).toBe(units * MICROS);
      const more = computeUnitMicros({ cpuMillis: c * 1000 + 1, memoryBytes: memoryBytes + 1 });
      expect(more).toBeGreaterThanOrEqual(found);
      const storage = storageUnitMicros({ hruBytes: h * GiB, sruBytes: memoryBytes });
      expect(Math.abs(storage / MICROS - (h / 1200 + m / 200))).toBeLessThan(0.000_002);
    }),
  );
});
