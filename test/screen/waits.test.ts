import { expect, test } from 'vitest';
import { openWaits } from '../../src/screen/waits.ts';

function open() {
  const said: string[] = [];
  const clock = { nowMs: 0 };
  const waits = openWaits({ say: (text) => said.push(text), clockMs: () => clock.nowMs });
  return { said, clock, waits };
}

test('what is waited for is said as it changes, counts from its beginning, and ends', () => {
  const { said, clock, waits } = open();
  waits.waits('network', 'a network card');
  clock.nowMs = 1000;
  waits.waits('network', 'a network card');
  waits.waits('media', 'the stick');
  clock.nowMs = 2000;
  waits.waits('network', 'an address');
  expect(waits.waiting()).toEqual([
    { key: 'network', what: 'an address', sinceMs: 0 },
    { key: 'media', what: 'the stick', sinceMs: 1000 },
  ]);
  waits.waits('network', null);
  expect(waits.waiting().map(({ key }) => key)).toEqual(['media']);
  const lines = ['waits for a network card', 'waits for the stick', 'waits for an address'];
  expect(said).toEqual(lines);
});

test('the last failure is kept, on one line, whatever a network put in it', () => {
  const { said, clock, waits } = open();
  expect(waits.lastFailure()).toBeNull();
  clock.nowMs = 5000;
  waits.failed('mirror\u{1b}[2J\r\nzos: agent all is well');
  expect(waits.lastFailure()).toEqual({
    sentence: 'mirror [2J zos: agent all is well',
    atMs: 5000,
  });
  expect(said).toEqual(['failed mirror [2J zos: agent all is well']);
});

test('waits have a limit', () => {
  const { waits } = open();
  for (let n = 0; n < 100; n += 1) waits.waits(`disk ${n}`, 'x'.repeat(1000));
  expect(waits.waiting().length).toBe(32);
  expect(waits.waiting()[0]?.what.length).toBe(400);
});
