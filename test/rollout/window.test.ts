import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatWindow,
  parseWindow,
  WEEK_DAYS,
  type Weekly,
  windowAt,
} from '../../src/rollout/window.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/lib/units.ts';

const weekly: fc.Arbitrary<Weekly> = fc.record({
  days: fc.uniqueArray(fc.constantFrom(...WEEK_DAYS), { minLength: 1 }),
  startMinute: fc.integer({ min: 0, max: 1439 }),
  lengthMinutes: fc.integer({ min: 10, max: 1440 }),
});
/** From 1970 to far ahead, where leap days, year ends and every clock change of any place lie. */
const moment = fc.integer({ min: 10 * DAY_MS, max: Date.UTC(2100, 0) });

/** By the calendar: each midnight of the nine days around is asked for its day of the week. */
function isOpenByCalendar(window: Weekly, nowMs: number): boolean {
  const date = new Date(nowMs);
  for (let back = 0; back <= 2; back += 1) {
    const midnight = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() - back);
    const day = WEEK_DAYS[new Date(midnight).getUTCDay()];
    const opens = midnight + window.startMinute * MINUTE_MS;
    const isOpen = nowMs >= opens && nowMs < opens + window.lengthMinutes * MINUTE_MS;
    if (window.days.some((each) => each === day) && isOpen) return true;
  }
  return false;
}

test('a window is open when the calendar in UTC says so, at any moment of any week', () => {
  let open = 0;
  fc.assert(
    fc.property(weekly, moment, (window, nowMs) => {
      const isOpen = isOpenByCalendar(window, nowMs);
      open += isOpen ? 1 : 0;
      expect(windowAt(window, nowMs).isOpen).toBe(isOpen);
    }),
    { numRuns: 2000 },
  );
  expect(open).toBeGreaterThan(100);
  expect(open).toBeLessThan(1900);
});

test('it opens and closes at the very minute that it names, and not before', () => {
  fc.assert(
    fc.property(weekly, moment, (window, nowMs) => {
      const state = windowAt(window, nowMs);
      const changeMs = state.isOpen ? state.closesAtMs : state.opensAtMs;
      if (changeMs === null) {
        for (let hour = 0; hour < 7 * 24; hour += 1) {
          expect(isOpenByCalendar(window, nowMs + hour * HOUR_MS)).toBe(true);
        }
        return;
      }
      expect(changeMs).toBeGreaterThan(nowMs);
      expect(changeMs - nowMs).toBeLessThanOrEqual(7 * DAY_MS);
      expect(isOpenByCalendar(window, changeMs - 1)).toBe(state.isOpen);
      expect(isOpenByCalendar(window, changeMs)).toBe(!state.isOpen);
      for (let at = 1; at < 20; at += 1) {
        const betweenMs = nowMs + Math.floor(((changeMs - nowMs) * at) / 20);
        expect(isOpenByCalendar(window, betweenMs)).toBe(state.isOpen);
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['Sun 02:00-05:00', { days: ['sun'], startMinute: 120, lengthMinutes: 180 }],
  ['sat,sun 22:00-02:00', { days: ['sat', 'sun'], startMinute: 1320, lengthMinutes: 240 }],
  [
    'fri-mon 01:30 - 04:00',
    { days: ['fri', 'sat', 'sun', 'mon'], startMinute: 90, lengthMinutes: 150 },
  ],
  ['daily 00:00-24:00', { days: [...WEEK_DAYS], startMinute: 0, lengthMinutes: 1440 }],
  ['Wed 03:00-03:00', { days: ['wed'], startMinute: 180, lengthMinutes: 1440 }],
  ['always', 'always'],
])('%s is read', (text, window) => {
  expect(parseWindow(text)).toEqual(window);
});

test.each(['', 'Sun', 'Sun 02:00', 'Son 02:00-05:00', 'Sun 25:00-26:00', 'Sun 02:60-05:00'])(
  '“%s” is no window',
  (text) => expect(parseWindow(text)).toBeUndefined(),
);

test.each(['sun,sun 02:00-05:00', 'Mon-Wed,Tue 02:00-05:00', 'Sun 02:00-02:05', 'a-b-c 1-2'])(
  '“%s” is no window either: a day twice, or too short to be of use',
  (text) => expect(parseWindow(text)).toBeUndefined(),
);

test('what is written is read again as it was', () => {
  fc.assert(
    fc.property(weekly, (window) => {
      expect(windowsAlike(parseWindow(formatWindow(window)), window)).toBe(true);
    }),
  );
});

function windowsAlike(read: unknown, window: Weekly): boolean {
  const days = window.days.length === 7 ? [...WEEK_DAYS] : window.days;
  return JSON.stringify(read) === JSON.stringify({ ...window, days });
}

test('a window over the end of a week goes on in the next', () => {
  const window = parseWindow('Sat 23:00-03:00');
  if (window === undefined) throw new Error('no window');
  const sunday = Date.UTC(2026, 10, 22);
  expect(new Date(sunday).getUTCDay()).toBe(0);
  expect(windowAt(window, sunday + HOUR_MS)).toEqual({
    isOpen: true,
    closesAtMs: sunday + 3 * HOUR_MS,
  });
  expect(windowAt(window, sunday + 3 * HOUR_MS)).toEqual({
    isOpen: false,
    opensAtMs: sunday + 7 * DAY_MS - HOUR_MS,
  });
});
