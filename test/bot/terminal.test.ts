import { expect, test } from 'vitest';
import { newPart } from '../../src/bot/commands/logs.ts';
import { nearest } from '../../src/bot/deployment/suggest.ts';
import { openProgress, plain, type Terminal } from '../../src/bot/terminal.ts';
import fc from 'fast-check';

test('nothing that a stranger wrote moves the cursor or colours the screen', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      // eslint-disable-next-line no-control-regex
      expect(plain(text)).not.toMatch(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/);
    }),
  );
  expect(plain('a\tb\nc')).toBe('a\tb\nc');
});

test.each([
  ['memroy', 'memory'],
  ['Memory', 'memory'],
  ['arg', 'args'],
  ['contaners', 'containers'],
  ['zzz', undefined],
])('%s means %s', (word, expected) => {
  expect(nearest(word, ['memory', 'args', 'containers', 'cpu'])).toBe(expected);
});

test('of a growing log only what is new is shown', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, more) => {
      expect(newPart(before, before + more)).toBe(more);
    }),
  );
});

test('of a log whose beginning is gone already, only what is new is shown', () => {
  const line = (i: number): string => `line ${i} of a log that grows\n`;
  const lines = Array.from({ length: 400 }, (_, i) => line(i));
  const before = lines.slice(0, 300).join('');
  const after = lines.slice(100).join('');
  expect(newPart(before, after)).toBe(lines.slice(300).join(''));
  expect(newPart(before, 'all new\n')).toBe('all new\n');
});

/** On a busy machine a timer of half a second may be late. */
const PATIENT = { timeout: 60_000 };

function screen(isErrScreen: boolean): { terminal: Terminal; shown: () => string } {
  let text = '';
  const err = (part: string): void => {
    text += part;
  };
  const terminal = { out: () => {}, err, isErrScreen, columns: 20, hasColour: false };
  return { terminal, shown: () => text };
}

test('progress is silent for what is quick, and leaves a screen as it was', async () => {
  const quick = screen(true);
  openProgress(quick.terminal, () => 0, 'reading')[Symbol.dispose]();
  expect(quick.shown()).toBe('');
  let nowMs = 0;
  const slow = screen(true);
  using progress = openProgress(slow.terminal, () => nowMs, 'reading a long file');
  nowMs = 3000;
  await expect.poll(slow.shown, PATIENT).toMatch(/ {3}3\.0 s {2}reading a$/);
  progress.clear();
  expect(slow.shown().endsWith('\r\u001B[2K')).toBe(true);
});

test('progress in a file is lines without control characters', async () => {
  let nowMs = 0;
  const { terminal, shown } = screen(false);
  using progress = openProgress(terminal, () => nowMs, 'reading');
  nowMs = 3000;
  await expect.poll(shown, PATIENT).toBe('   3.0 s  reading\n');
  progress.say('waiting');
  nowMs = 9000;
  await expect.poll(shown, PATIENT).toBe('   3.0 s  reading\n   9.0 s  waiting\n');
});
