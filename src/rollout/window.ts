import { z } from 'zod';
import { DAY_MS, MINUTE_MS } from '../lib/units.ts';

const DAY_MINUTES = DAY_MS / MINUTE_MS;
const WEEK_MINUTES = 7 * DAY_MINUTES;
/** Less would be over before a node is done. */
const LENGTH_MINUTES_MIN = 10;
/** The epoch was a Thursday (POSIX.1, seconds since the epoch). */
const EPOCH_MINUTE_OF_WEEK = 4 * DAY_MINUTES;

export const WEEK_DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
export type WeekDay = (typeof WEEK_DAYS)[number];

export const weeklySchema = z.strictObject({
  days: z
    .array(z.enum(WEEK_DAYS))
    .min(1)
    .max(7)
    .refine((days) => new Set(days).size === days.length, 'a day stands twice'),
  /** Minutes after midnight, UTC: no clock change moves it. */
  startMinute: z
    .int()
    .min(0)
    .max(DAY_MINUTES - 1),
  /** It may run over midnight, and from the end of a week into the next. */
  lengthMinutes: z.int().min(LENGTH_MINUTES_MIN).max(DAY_MINUTES),
});
export type Weekly = z.infer<typeof weeklySchema>;

/** When a farm's nodes may be updated. */
export const windowSchema = z.union([z.literal('always'), weeklySchema]);
export type Window = z.infer<typeof windowSchema>;

export type WindowState =
  /** `null` for one that never closes. */
  | { readonly isOpen: true; readonly closesAtMs: number | null }
  | { readonly isOpen: false; readonly opensAtMs: number };

/** How a window stands at a moment, and when that changes next. */
export function windowAt(window: Window, nowMs: number): WindowState {
  if (window === 'always') return { isOpen: true, closesAtMs: null };
  const minute = Math.floor(nowMs / MINUTE_MS);
  const atMs = (inMinutes: number): number => (minute + inMinutes) * MINUTE_MS;
  const leftMinutes = openMinutes(window, minute);
  if (leftMinutes === 0) {
    const waits = window.days.map((day) => minutesBetween(minute, startOf(window, day)));
    return { isOpen: false, opensAtMs: atMs(Math.min(...waits)) };
  }
  return { isOpen: true, closesAtMs: leftMinutes >= WEEK_MINUTES ? null : atMs(leftMinutes) };
}

/** How long it stays open from a minute on: days that follow each other are one window. */
function openMinutes(window: Weekly, minute: number): number {
  let open = 0;
  for (let left = 1; left > 0 && open < WEEK_MINUTES; open += left) {
    const lefts = window.days.map((day) => {
      const since = minutesBetween(startOf(window, day), minute + open);
      return Math.max(0, window.lengthMinutes - since);
    });
    left = Math.max(...lefts);
  }
  return open;
}

/** The minute of the week at which the window of a day opens. */
function startOf({ startMinute }: Weekly, day: WeekDay): number {
  return WEEK_DAYS.indexOf(day) * DAY_MINUTES + startMinute - EPOCH_MINUTE_OF_WEEK;
}

/** From one minute to the next one that is `to` in some week. */
function minutesBetween(from: number, to: number): number {
  const between = (to - from) % WEEK_MINUTES;
  return between < 0 ? between + WEEK_MINUTES : between;
}

const NAMES: Readonly<Record<WeekDay, string>> = {
  sun: 'Sun',
  mon: 'Mon',
  tue: 'Tue',
  wed: 'Wed',
  thu: 'Thu',
  fri: 'Fri',
  sat: 'Sat',
};

/** A window as people write it: `Sat,Sun 22:00-02:00`, `daily 02:00-05:00`, `always`. */
export function formatWindow(window: Window): string {
  if (window === 'always') return 'always';
  const { days, startMinute, lengthMinutes } = window;
  const isDaily = days.length === WEEK_DAYS.length;
  const named = isDaily ? 'daily' : days.map((day) => NAMES[day]).join(',');
  return `${named} ${clockText(startMinute)}-${clockText(startMinute + lengthMinutes)}`;
}

function clockText(minute: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const ofDay = minute % DAY_MINUTES;
  return `${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)}`;
}

const WRITTEN = /^(?<days>[a-z,-]+)\s+(?<from>\d{2}:\d{2})\s*-\s*(?<to>\d{2}:\d{2})$/u;

/** The window that people wrote, or `undefined`; the same time twice is a whole day. */
export function parseWindow(text: string): Window | undefined {
  const lower = text.trim().toLowerCase();
  if (lower === 'always') return 'always';
  const { days, from, to } = WRITTEN.exec(lower)?.groups ?? {};
  const named = daysOf(days ?? '');
  const [start, end] = [minuteOf(from), minuteOf(to)];
  if (named === undefined || start === undefined || end === undefined) return undefined;
  const parsed = weeklySchema.safeParse({
    days: named,
    startMinute: start % DAY_MINUTES,
    lengthMinutes: (end - start + DAY_MINUTES) % DAY_MINUTES || DAY_MINUTES,
  });
  return parsed.success ? parsed.data : undefined;
}

function daysOf(text: string): WeekDay[] | undefined {
  if (text === 'daily') return [...WEEK_DAYS];
  const days: WeekDay[] = [];
  for (const part of text.split(',')) {
    const ends = part.split('-').map((name) => WEEK_DAYS.findIndex((day) => day === name));
    const [first = -1, last = first] = ends;
    if (ends.length > 2 || first < 0 || last < 0) return undefined;
    for (let at = first; ; at = (at + 1) % WEEK_DAYS.length) {
      days.push(WEEK_DAYS[at] as WeekDay);
      if (at === last) break;
    }
  }
  return days;
}

/** `24:00` is the end of a day (ISO 8601). */
function minuteOf(text: string | undefined): number | undefined {
  const [hours = NaN, minutes = NaN] = (text ?? '').split(':').map(Number);
  const minute = hours * 60 + minutes;
  return minutes < 60 && minute <= DAY_MINUTES ? minute : undefined;
}
