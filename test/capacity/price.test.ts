import { expect, test } from 'vitest';
import {
  formatMicros,
  FREE,
  hourMicros,
  parseMicros,
  PRICE_MICROS_MAX,
  pricesSchema,
} from '../../src/capacity/price.ts';
import type { Storage } from '../../src/capacity/units.ts';
import { GiB, MiB } from '../../src/lib/units.ts';

const PRICES = { computeHourMicros: 12_500, storageHourMicros: 400, networkMicros: 7 };
const MOST = Number.MAX_SAFE_INTEGER;
const use = (cpuMillis: number, memoryBytes: number, storage: Partial<Storage>) => ({
  compute: { cpuMillis, memoryBytes },
  storage: { sruBytes: 0, hruBytes: 0, ...storage },
});

test('an hour costs its compute and storage units, rounded down once', () => {
  // 2 processors and 4 GiB are one compute unit, 200 GiB solid-state one storage unit.
  expect(hourMicros(use(2000, 4 * GiB, { sruBytes: 200 * GiB }), PRICES)).toBe(12_900);
  expect(hourMicros(use(2000, 4 * GiB, { hruBytes: 1200 * GiB }), PRICES)).toBe(12_900);
  expect(hourMicros(use(500, 64 * MiB, { sruBytes: 8 * MiB }), PRICES)).toBe(1562);
  expect(hourMicros(use(2000, 4 * GiB, { sruBytes: 200 * GiB }), FREE)).toBe(0);
});

test('the highest price of the largest node is still a whole number', () => {
  const most = PRICE_MICROS_MAX;
  const prices = { computeHourMicros: most, storageHourMicros: most, networkMicros: most };
  expect(pricesSchema.parse(prices)).toEqual(prices);
  const largest = use(4096_000, MOST, { sruBytes: MOST, hruBytes: MOST });
  expect(Number.isSafeInteger(hourMicros(largest, prices))).toBe(true);
  expect(pricesSchema.safeParse({ ...prices, networkMicros: most + 1 }).success).toBe(false);
  expect(pricesSchema.safeParse({ ...prices, networkMicros: 0.5 }).success).toBe(false);
  expect(pricesSchema.safeParse({ ...prices, networkMicros: -1 }).success).toBe(false);
});

test.each([
  ['0', 0],
  ['0.0125', 12_500],
  ['1', 1_000_000],
  ['12.000001', 12_000_001],
  ['1000', 1_000_000_000],
])('%s is read and written the same', (text, micros) => {
  expect(parseMicros(text)).toBe(micros);
  expect(formatMicros(micros)).toBe(text);
});

test.each(['', '-1', '.5', '1.', '0.0000001', '1e3', '1000.000001', '1,5'])(
  '"%s" is no price',
  (text) => {
    expect(parseMicros(text)).toBeUndefined();
  },
);
