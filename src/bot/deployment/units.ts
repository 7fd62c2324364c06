import { DAY_MS, GiB, HOUR_MS, KiB, MiB, MINUTE_MS, SECOND_MS } from '../../lib/units.ts';

/** How a size is written in a deployment file: a number and KiB, MiB or GiB. */
export const SIZE_PATTERN = /^(\d{1,7}(?:\.\d{1,3})?) ?(KiB|MiB|GiB)$/;

/** How a duration is written: a whole number and s, m, h or d. */
export const DURATION_PATTERN = /^(\d{1,7}) ?(s|m|h|d)$/;

const SIZES: Readonly<Record<string, number>> = { KiB, MiB, GiB };
const DURATIONS: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

/** Bytes of `64MiB`, or `undefined` when it is not written so. */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = SIZE_PATTERN.exec(text) ?? [];
  return number === undefined ? undefined : Math.floor(Number(number) * (SIZES[unit ?? ''] ?? 0));
}

/** Milliseconds of `24h`, or `undefined` when it is not written so. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = DURATION_PATTERN.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * (DURATIONS[unit ?? ''] ?? 0);
}
