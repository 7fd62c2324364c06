import { expect, test } from 'vitest';
import { FREE, hourMicros, PRICE_MICROS_MAX, pricesSchema } from '../../src/capacity/price.ts';
import { GiB, MiB } from '../../src/lib/units.ts';

const PRICES = { computeHourMicros: 12_500, storageHourMicros: 400, networkMicros: 7 };
const use = (cpuMillis: number, memoryBytes: number, sruBytes: number, hruBytes = 0) => ({
  compute: { cpuMillis, memoryBytes },
  storage: { sruBytes, hruBytes },
});

test('an hour costs its compute and storage units, rounded down once', () => {
  // 2 processors and 4 GiB are one compute unit, 200 GiB solid-state one storage unit.
  expect(hourMicros(use(2000, 4 * GiB, 200 * GiB), PRICES)).toBe(12_900);
  expect(hourMicros(use(2000, 4 * GiB, 0, 1200 * GiB), PRICES)).toBe(12_900);
  expect(hourMicros(use(500, 64 * MiB, 8 * MiB), PRICES)).toBe(1562);
  expect(hourMicros(use(2000, 4 * GiB, 200 * GiB), FREE)).toBe(0);
});

test('the highest price of the largest node is still a whole number', () => {
  const most = PRICE_MICROS_MAX;
  const prices = { computeHourMicros: most, storageHourMicros: most, networkMicros: most };
  expect(pricesSchema.parse(prices)).toEqual(prices);
  const largest = use(4096_000, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  expect(Number.isSafeInteger(hourMicros(largest, prices))).toBe(true);
  expect(pricesSchema.safeParse({ ...prices, networkMicros: most + 1 }).success).toBe(false);
  expect(pricesSchema.safeParse({ ...prices, networkMicros: 0.5 }).success).toBe(false);
  expect(pricesSchema.safeParse({ ...prices, networkMicros: -1 }).success).toBe(false);
});
