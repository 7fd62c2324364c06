import { expect, test } from 'vitest';
import { percentile, see, tableOf } from './figure.ts';

test('a percentile is the value at its nearest rank', () => {
  const values = Array.from({ length: 20 }, (_, index) => 20 - index);
  expect(percentile(values, 95)).toBe(19);
  expect(percentile(values, 100)).toBe(20);
  expect(percentile([7], 95)).toBe(7);
  expect(percentile([], 95)).toBeNaN();
});

test('a figure that is missed says so, in the table and for programs', async () => {
  const base = { what: '', unit: 's', reach: 3 } as const;
  const seen = [
    await see({ ...base, name: 'fast', measure: async () => 2.999 }),
    await see({ ...base, name: 'slow', measure: async () => 3.456 }),
  ];
  expect(seen).toEqual([
    { name: 'fast', value: 3, unit: 's', reach: '<= 3 s', ok: true },
    { name: 'slow', value: 3.46, unit: 's', reach: '<= 3 s', ok: false },
  ]);
  expect(tableOf(seen)).toBe(
    [
      'figure  value   reach',
      'fast    3 s     <= 3 s  ok',
      'slow    3.46 s  <= 3 s  MISSED',
      '',
    ].join('\n'),
  );
});

test('a figure that could not be measured is not reached', async () => {
  const { ok } = await see({
    name: 'lost',
    what: '',
    unit: 's',
    reach: 3,
    measure: async () => Number.NaN,
  });
  expect(ok).toBe(false);
});
