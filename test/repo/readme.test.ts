import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readmeFaults } from './readme-rules.ts';

const ROOT = join(import.meta.dirname, '../..');

test('every path, command and test that the README names exists', () => {
  expect(readmeFaults(ROOT)).toEqual([]);
});

test('a README that keeps its word has no fault', () => {
  const readme = [
    'See `src/bot/main.ts` and [the tests](test/).',
    '```sh',
    'npm start -- --no-vm   # for real servers',
    'zos deploy web.yaml',
    '```',
    '## What it promises',
    '| promise | proof |',
    '|---|---|',
    '| it adds | `test/a.test.ts` › “one and one” |',
  ];
  expect(faultsOf(readme)).toEqual([]);
});

const PLANTED: readonly (readonly [string, readonly string[], string])[] = [
  ['a path', ['`src/gone.ts`'], 'names src/gone.ts, which is not there'],
  ['a link', ['[here](docs/a.md)'], 'links to docs/a.md, which is not there'],
  ['a script', ['`npm run fly`'], 'gives the command “npm run fly”, which does not exist'],
  [
    'a command in a block',
    ['```sh', 'zos fly', '```'],
    'gives the command “zos fly”, which does not exist',
  ],
  ['a flag', ['`npm start -- --fly`'], 'gives --fly in “npm start -- --fly”, which nothing reads'],
  ['a test file', ['`test/b.test.ts` › “one and one”'], 'cites test/b.test.ts, which is not there'],
  [
    'a test',
    ['`test/a.test.ts` › “one and two”'],
    'cites “one and two”, which test/a.test.ts does not test',
  ],
  [
    'a test that is skipped',
    ['`test/a.test.ts` › “it rests”'],
    'cites “it rests”, which test/a.test.ts does not test',
  ],
  ['a table of promises', ['# Zero-OS'], 'has no table of what is promised, with the test of each'],
  [
    'a promise without a test',
    ['# Promises', '| promise | proof |', '|---|---|', '| it flies | see above |'],
    'promises without a test: it flies',
  ],
];

test.for(PLANTED)('%s that is not there is found by name', ([, readme, fault]) => {
  expect(faultsOf(readme)).toContain(`README.md ${fault}`);
});

function faultsOf(readme: readonly string[]): string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-readme-'));
  const files = {
    'README.md': readme.join('\n'),
    'package.json': JSON.stringify({ scripts: { start: 'node boot/start.ts' } }),
    'src/bot/main.ts': `program.command('deploy <file>'); program.option('--no-vm');`,
    'test/a.test.ts': `test('one and one', () => {}); test.skip('it rests', () => {});`,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder.path, dirname(path)), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
  return readmeFaults(folder.path);
}
