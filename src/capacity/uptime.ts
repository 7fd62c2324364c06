import { DAY_MS, MINUTE_MS } from '../lib/units.ts';

/**
 * Uptime is counted in windows of five minutes, by the signs of life that came in them: one word of
 * ten is enough, so a lost one costs nothing, and a node that talks more counts no more.
 */
export const WINDOW_MS = 5 * MINUTE_MS;
export const WINDOWS_PER_DAY = DAY_MS / WINDOW_MS;
/** How many days are counted. */
export const UPTIME_DAYS = 30;
/** A window is over at most so long before the next sign of life: only then is a node gone. */
const LATE_MS = MINUTE_MS;

/** Which window a moment is in, counted from 1970. */
export function windowAt(atMs: number): number {
  return Math.floor(atMs / WINDOW_MS);
}

/** Until when a node that was heard of in this window counts as there. */
export function onlineUntilMs(window: number): number {
  return (window + 1) * WINDOW_MS + LATE_MS;
}

/** What a node's sign of life says of the windows since it was last heard of. */
export type Word = {
  readonly window: number;
  /** The last window in which it was heard of before, if any. */
  readonly before: number | undefined;
  /** How long the node's machine is up, as it signed. */
  readonly uptimeMs: number;
};

/**
 * The windows in which nobody heard the node and in which it was up all the same, as it signs: what
 * a cut cable or a directory that was away costs it. It is counted apart, for it is its own word.
 */
export function saidWindows({ window, before, uptimeMs }: Word): number {
  if (before === undefined || window <= before) return 0;
  const whole = Math.floor(uptimeMs / WINDOW_MS);
  return Math.min(window - before - 1, whole, WINDOWS_PER_DAY);
}
