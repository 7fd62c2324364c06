import { expect, test } from 'vitest';
import { fetchOf, isTrouble, stageOf, subjectOf } from '../../../boot/grid/node.ts';
import { firstPage } from '../../../boot/grid/sample.ts';
import type { ServeEvent } from '../../../boot/serve/server.ts';

const LINES: readonly (readonly [string, string | undefined])[] = [
  ['zos: boot link-up eth0 52:54:00:5a:00:01', 'link-up eth0 52:54:00:5a:00:01'],
  ['[    2.1] zos: agent registered node=ab farm=cd', 'registered node=ab farm=cd'],
  [`zos: agent identity node=${'ab12'.repeat(16)}`, 'identity node=ab12ab12ab'],
  ['iPXE initialising devices...', undefined],
  ['zos: something else', undefined],
];

test.for(LINES)('the console line %j tells %j', ([text, stage]) => {
  expect(stageOf({ text, sincePowerOnMs: 0 })).toBe(stage);
});

test('a node that has joined is heard of again when something is wrong', () => {
  expect(isTrouble('failed container web: crun failed')).toBe(true);
  expect(isTrouble('contract ab12 version 1 running')).toBe(false);
});

const BEGIN: ServeEvent = {
  kind: 'begin',
  client: '10.91.1.100',
  method: 'GET',
  path: '/vmlinuz',
  status: 200,
  bytes: 12 * 1024 * 1024,
  sinceBeginMs: 0,
};

test('what firmware fetches is told once, when it begins', () => {
  expect(fetchOf(BEGIN)).toBe('fetches vmlinuz, 12.0 MiB');
  expect(fetchOf({ ...BEGIN, kind: 'end' })).toBe(undefined);
  expect(fetchOf({ ...BEGIN, method: 'HEAD' })).toBe(undefined);
});

test('what the boot program fetches is left to itself to tell', () => {
  expect(fetchOf({ ...BEGIN, path: '/system.erofs' })).toBe(undefined);
});

test('a machine is spoken of as people do', () => {
  expect(subjectOf('node1')).toBe('node 1');
  expect(subjectOf('node12')).toBe('node 12');
});

test('the first whole page of a log is found among what surrounds it', () => {
  const page = '<!doctype html>\n<title>hello</title>\n</html>';
  expect(firstPage(`wget: timed out\n${page}\n${page}\n`)).toBe(page);
});

test('half a page is none', () => {
  expect(firstPage('wget: timed out\n<!doctype html>\n<title>hel')).toBe(undefined);
  expect(firstPage('')).toBe(undefined);
});
