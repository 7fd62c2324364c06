import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tidyFaults } from './tidy-rules.ts';

const ROOT = join(import.meta.dirname, '../..');

test('the repository names no mirror or registry, and holds no secret and no stray file', () => {
  expect(tidyFaults(ROOT)).toEqual([]);
});

// In parts, as this file is under the same rules.
const HOSTS = [
  ['deb', 'debian', 'org'],
  ['registry', 'npmjs', 'org'],
  ['mirror', 'example', 'net'],
  ['snapshot', 'debian', 'org'],
].map((labels) => labels.join('.'));

test.for(HOSTS)('the host name %s is found', (host) => {
  expect(faultsOf({ 'image/a.ts': `fetch('http://${host}/pool')` })).toEqual([
    expect.stringMatching(/^image\/a\.ts names \S+$/u),
  ]);
});

const LOCK = '{ "packages": { "a": { "resolved": "file:a.tgz" } } }';
const KEY = ['-----BEGIN PRIVATE', 'KEY-----\n'].join(' ');

const PLANTED: readonly (readonly [string, string, string, string])[] = [
  ['a script', 'boot/a.mjs', '#!/usr/bin/env node\n', 'boot/a.mjs begins with #!'],
  ['a download address', 'package-lock.json', LOCK, 'package-lock.json records a download address'],
  [
    'an optional package left out of the lock',
    'package-lock.json',
    '{ "packages": { "node_modules/a": { "optionalDependencies": { "b": "1.0.0" } } } }',
    'package-lock.json lacks b, which node_modules/a may use',
  ],
  ['a private key', 'test/a.pem', KEY, 'test/a.pem holds a secret'],
  ['a stray folder', 'docs/a.md', '', 'docs is not on the list of the top level'],
];

test.for(PLANTED)('%s is found by name', ([, path, text, fault]) => {
  expect(faultsOf({ [path]: text })).toEqual([fault]);
});

function faultsOf(files: Readonly<Record<string, string>>): string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-tidy-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder.path, dirname(path)), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
  return tidyFaults(folder.path);
}
