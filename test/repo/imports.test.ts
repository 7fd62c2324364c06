import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { importFaults, isEffect } from './import-rules.ts';
import { listFiles } from './source.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A tree on disk with the files given, and what the rules say of it. */
function faultsOf(files: Readonly<Record<string, string>>): string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-imports-'));
  const manifest = { dependencies: { execa: '1', undici: '1', pino: '1', zod: '1' } };
  const all = { 'package.json': JSON.stringify(manifest), ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(join(folder.path, dirname(path)), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
  return importFaults(folder.path);
}

test('every import in the repository keeps the rows, the purity and the single doors', () => {
  expect(importFaults(ROOT)).toEqual([]);
});

test('the walk sees the repository: its rows, its doors and its pure files', () => {
  const paths = listFiles(ROOT, ['src']);
  expect(paths.length).toBeGreaterThan(20);
  expect(paths).toContain('src/host/exec.ts');
  expect(paths.filter((path) => !isEffect(path)).length).toBeGreaterThan(10);
});

test('a tree that keeps the rules has no fault', () => {
  const faults = faultsOf({
    'src/lib/bytes.ts': `import { createHash } from 'node:crypto'; export { createHash };`,
    'src/host/exec.ts': `import { execa } from 'execa'; export { execa };`,
    'src/znet/plan.ts': `import { createHash } from '../lib/bytes.ts'; export { createHash };`,
    'src/znet/apply.ts': `import { execa } from '../host/exec.ts'; export { execa };`,
    'src/node/main.ts': `import '../znet/apply.ts'; export const now = Date.now();`,
    'boot/serve.ts': `if (import.meta.main) console.log(process.argv);`,
  });
  expect(faults).toEqual([]);
});

const PLANTED: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
  [
    'an import up the rows',
    { 'src/lib/a.ts': `import '../host/b.ts';`, 'src/host/b.ts': '' },
    'src/lib/a.ts:1 may not import src/host/b.ts',
  ],
  [
    'an import sideways',
    { 'src/znet/plan.ts': `\nimport type { A } from '../zosfs/a.ts';`, 'src/zosfs/a.ts': '' },
    'src/znet/plan.ts:2 may not import src/zosfs/a.ts',
  ],
  [
    'a dynamic import up the rows',
    { 'src/lib/a.ts': `await import('../node/b.ts');`, 'src/node/b.ts': '' },
    'src/lib/a.ts:1 may not import src/node/b.ts',
  ],
  [
    'an import of the tests',
    { 'src/node/a.ts': `import '../../boot/b.ts';`, 'boot/b.ts': '' },
    'src/node/a.ts:1 may not import boot/b.ts',
  ],
  [
    'a folder that no row names',
    { 'src/extra/a.ts': `import '../lib/b.ts';`, 'src/lib/b.ts': '' },
    'src/extra/a.ts:1 may not import src/lib/b.ts',
  ],
  [
    'a role in the boot folder',
    { 'boot/a.ts': `import '../src/bot/b.ts';`, 'src/bot/b.ts': '' },
    'boot/a.ts:1 may not import src/bot/b.ts',
  ],
  [
    'an effect in a pure file',
    { 'src/znet/plan.ts': `import 'node:fs';` },
    'src/znet/plan.ts is pure and reaches node:fs',
  ],
  [
    'an effect behind two pure files',
    {
      'src/znet/plan.ts': `export * from './rules.ts';`,
      'src/znet/rules.ts': `import './apply.ts';`,
      'src/znet/apply.ts': `import 'node:net';`,
    },
    'src/znet/plan.ts is pure and reaches src/znet/rules.ts -> src/znet/apply.ts',
  ],
  [
    'a builtin that nobody said is pure',
    { 'src/lib/a.ts': `import 'node:sqlite';` },
    'src/lib/a.ts is pure and reaches node:sqlite',
  ],
  [
    'a second user of execa',
    { 'src/node/a.ts': `import 'execa';` },
    'src/node/a.ts:1 imports execa, which only src/host/exec.ts may',
  ],
  [
    'a second user of undici',
    { 'boot/a.ts': `import 'undici';` },
    'boot/a.ts:1 imports undici, which only src/host/http.ts may',
  ],
  [
    'a second user of pino',
    { 'image/a.ts': `import type { Logger } from 'pino';` },
    'image/a.ts:1 imports pino, which only src/host/log.ts may',
  ],
  [
    'a file that does not parse',
    { 'src/lib/a.ts': `const = 1;` },
    `src/lib/a.ts can't be parsed: Unexpected token`,
  ],
  [
    'an import of a file that is not there',
    { 'src/lib/a.ts': `import './b.ts';` },
    'src/lib/a.ts:1 imports ./b.ts',
  ],
  [
    'an import of a package that is not declared',
    { 'src/node/a.ts': `import 'left-pad';` },
    'src/node/a.ts:1 imports left-pad',
  ],
  [
    'an import that is computed',
    { 'src/node/a.ts': `await import('x' + 'y');` },
    'src/node/a.ts:1 imports a computed name',
  ],
  ['a require', { 'src/node/a.ts': `require('fs');` }, 'src/node/a.ts:1 imports fs'],
  [
    'the environment below a main program',
    { 'src/node/a.ts': `console.log(process.env['HOME']);` },
    'src/node/a.ts:1 uses process.env, which only a main program may',
  ],
  [
    'the environment by its other name',
    { 'src/node/a.ts': `const { pid, env: mine } = process;` },
    'src/node/a.ts:1 uses process.env, which only a main program may',
  ],
  [
    'the arguments below a main program',
    { 'boot/a.ts': `console.log(process['argv']);` },
    'boot/a.ts:1 uses process.argv, which only a main program may',
  ],
  [
    'the clock in a pure file',
    { 'src/lib/a.ts': `export const now = () => new Date();` },
    'src/lib/a.ts:1 uses new Date(), which only a main program may',
  ],
  [
    'the clock in a role',
    { 'src/node/a.ts': `export const now = Date.now;` },
    'src/node/a.ts:1 uses Date.now, which only a main program may',
  ],
];

test.for(PLANTED)('%s is found by name', ([, files, fault]) => {
  expect(faultsOf(files)).toContain(fault);
});
