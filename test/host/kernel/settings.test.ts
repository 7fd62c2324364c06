import { expect, test } from 'vitest';
import { EXCEPTIONS, SETTINGS } from '../../../src/host/kernel/settings.ts';

test('each setting stands once in the table, and with a reason', () => {
  const paths = SETTINGS.map(({ path }) => path);
  expect(paths.filter((path, at) => paths.indexOf(path) !== at)).toEqual([]);
  for (const { why } of [...SETTINGS, ...EXCEPTIONS]) expect(why.length).toBeGreaterThan(5);
});

test('an exception says nothing else than the table', () => {
  const table = new Map(SETTINGS.map(({ path, value }) => [path, value]));
  const others = EXCEPTIONS.filter(
    ({ is }) => 'path' in is && table.has(is.path) && table.get(is.path) !== is.value,
  );
  expect(others).toEqual([]);
});
