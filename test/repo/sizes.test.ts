import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { sizeFaults } from './size-rules.ts';

const ROOT = join(import.meta.dirname, '../..');

test('every file keeps the limits on size, naming and exports', () => {
  expect(sizeFaults(ROOT)).toEqual([]);
});

// In parts, as this file is under the same rules.
const AS_ANY = ['as', 'any'].join(' ');
const LATER = ['TO', 'DO'].join('');
const LINES_61 = 'function long() {\n'.padEnd(18 + 59, '\n') + '}\n';

const PLANTED: readonly (readonly [string, string, string, string])[] = [
  ['a long file', 'src/a/b.ts', '\n'.repeat(301), 'src/a/b.ts has 301 lines'],
  ['a long line', 'boot/b.ts', `// ${'x'.repeat(98)}`, 'boot/b.ts:1 has 101 columns'],
  ['a long function', 'src/a/b.ts', LINES_61, 'src/a/b.ts:1 is a function of 61 lines'],
  ['four parameters', 'src/a/b.ts', '(a, b, c, d) => a;', 'src/a/b.ts:1 takes 4 parameters'],
  ['a deep folder', 'src/a/b/c/d.ts', '', 'src/a/b/c/d.ts is deeper than 2 folders'],
  ['a name in camel case', 'src/a/bC.ts', '', 'src/a/bC.ts is not a kebab-case name'],
  ['an empty name', 'src/a/http-utils.ts', '', 'src/a/http-utils.ts has a name that says nothing'],
  ['a default export', 'src/a/b.ts', 'export default 1;', 'src/a/b.ts:1 exports a default'],
  ['a way around the types', 'src/a/b.ts', `x ${AS_ANY};`, `src/a/b.ts:1 says ${AS_ANY}`],
  ['work for another day', 'src/a/b.ts', `// ${LATER}: it`, `src/a/b.ts:1 says ${LATER}`],
  [
    'an export that nobody explains',
    'src/a/b.ts',
    '/** Old. */\nconst a = 1;\nexport function b() { return a; }',
    'src/a/b.ts:3 exports a function without a sentence about it',
  ],
];

test.for(PLANTED)('%s is found by name', ([, path, text, fault]) => {
  expect(faultsOf({ [path]: text })).toContain(fault);
});

test('a folder with eleven files is found by name', () => {
  const files = Array.from({ length: 11 }, (_, index) => [`image/part-${index}.ts`, '']);
  expect(faultsOf(Object.fromEntries(files))).toEqual(['image holds 11 files']);
});

test('a tree that keeps the rules has no fault', () => {
  const text = '/** The sum of two numbers. */\nexport function sum(a, b) {\n  return a + b;\n}\n';
  expect(faultsOf({ 'src/lib/sum.ts': text, 'test/lib/sum.test.ts': '' })).toEqual([]);
});

function faultsOf(files: Readonly<Record<string, string>>): string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-sizes-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder.path, dirname(path)), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
  return sizeFaults(folder.path);
}
