import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Vector, verdictOf } from '../support/contract/vector.ts';
import { vectorFiles, VECTORS } from '../support/contract/write.ts';

const names = readdirSync(VECTORS).toSorted();
const vectors = names.map((name): [string, Vector] => {
  return [name, JSON.parse(readFileSync(join(VECTORS, name), 'utf8')) as Vector];
});

test.each(vectors)('%s', (...[, vector]) => {
  expect(verdictOf(vector)).toBe(vector.expect);
});

test('the generator makes every file of the vectors again, byte by byte', () => {
  const made = vectorFiles();
  expect([...made.keys()].toSorted()).toEqual(names);
  const isOther = ([name, text]: [string, string]): boolean =>
    text !== readFileSync(join(VECTORS, name), 'utf8');
  expect([...made].filter(isOther).map(([name]) => name)).toEqual([]);
});

/** The rows of the README's table: the number of each check, and what it refuses with. */
function checksOfReadme(): ReadonlyMap<number, string> {
  const readme = readFileSync('README.md', 'utf8');
  const section = readme.split('## The checks of a contract')[1]?.split('\n## ')[0] ?? '';
  const rows = section.matchAll(/^\| (?<number>\d+) \|.*\|(?<codes>[^|]*)\|$/gmu);
  return new Map(
    [...rows].map(({ groups }) => [Number(groups?.['number']), groups?.['codes'] ?? '']),
  );
}

test('every check of the README has good and bad vectors, and no vector is for another', () => {
  const checks = checksOfReadme();
  const found = (is: string): number[] => [
    ...new Set(vectors.filter(([, vector]) => vector.is === is).map(([, { check }]) => check)),
  ];
  expect(checks.size).toBeGreaterThanOrEqual(15);
  expect(found('good')).toEqual([...checks.keys()]);
  expect(found('bad')).toEqual([...checks.keys()]);
});

test('what a bad vector is refused with stands in the row of its check', () => {
  const checks = checksOfReadme();
  const missing = vectors
    .filter(([, { is }]) => is === 'bad')
    .filter(([, { check, expect: code }]) => {
      const row = checks.get(check) ?? '';
      const family = `\`${code.split('_')[0]}_…\``;
      return !row.includes(`\`${code}\``) && !row.includes(family);
    });
  expect(missing.map(([name, { expect: code }]) => `${name} ${code}`)).toEqual([]);
});

test('a vector is named by its check, by whether it is good, and by its reason', () => {
  for (const [name, { check, is, reason, expect: code }] of vectors) {
    expect(name).toBe(`${String(check).padStart(2, '0')}-${is}-${reason}.json`);
    expect(is === 'good').toBe(code === 'verified');
  }
});
