import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameOf, textOf } from '../../src/screen/frame.ts';
import { paintOf } from '../../src/screen/paint.ts';
import { COLUMNS, ROWS, type ScreenState } from '../../src/screen/spec.ts';
import { SCREENS } from '../support/screen/states.ts';

test.for(Object.keys(SCREENS))('the screen %s is as it was', async (name) => {
  const state = SCREENS[name];
  if (state === undefined) throw new Error(name);
  await expect(`${textOf(frameOf(state))}\n`).toMatchFileSnapshot(`../golden/screen/${name}.txt`);
});

const hostile = fc.string({ unit: 'binary', maxLength: 300 });
const wait = fc.record({ key: hostile, what: hostile, sinceMs: fc.nat() });
const use = fc.record({ used: fc.nat(), total: fc.nat() });
const state: fc.Arbitrary<ScreenState> = fc.record(
  {
    release: hostile,
    node: hostile,
    farm: hostile,
    approvalUrl: hostile,
    class: fc.record({ name: hostile, because: hostile }),
    directoryUrl: hostile,
    cores: use,
    ssdBytes: use,
    troubles: fc.array(hostile, { maxLength: 20 }),
    uptimeMs: fc.nat(),
    nowMs: fc.nat(),
    addresses: fc.array(hostile, { maxLength: 20 }),
    waiting: fc.array(wait, { maxLength: 32 }),
    failure: fc.option(fc.record({ sentence: hostile, atMs: fc.nat() })),
    lines: fc.array(fc.record({ text: hostile, atMs: fc.nat() }), { maxLength: 20 }),
  },
  { requiredKeys: ['uptimeMs', 'nowMs', 'addresses', 'waiting', 'failure', 'lines'] },
);

test('whatever there is to show is 25 rows of 80 columns, and moves no cursor', () => {
  fc.assert(
    fc.property(state, (shown) => {
      const frame = frameOf(shown);
      const rows = frame.map((row) => row.map(({ text }) => text).join(''));
      expect(rows.length).toBe(ROWS);
      for (const row of rows) expect(row).toMatch(new RegExp(`^[ -~█▀▄░]{${COLUMNS}}$`, 'u'));
    }),
  );
});

test('on a larger display it is in the middle, and the rest is dark', () => {
  const frame = frameOf(SCREENS['ready'] ?? expect.fail());
  const painted = paintOf(frame, { columns: 160, rows: 50 });
  // oxlint-disable-next-line no-control-regex
  const rows = painted.split(/\u{1b}\[\d+;1H\u{1b}\[0m/u).slice(1);
  expect(rows.length).toBe(50);
  expect(rows[0]).toBe('\u{1b}[K');
  expect(rows[12]?.startsWith(' '.repeat(40))).toBe(true);
});
