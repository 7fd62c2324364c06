import { readFile } from 'node:fs/promises';
import { ZosError } from '../lib/errors.ts';
import { SECOND_MS } from '../lib/units.ts';
import { run } from './exec.ts';

export class ClockError extends ZosError<'CLOCK_UNSET'> {}

export type ClockReading = {
  /** The system's time: milliseconds since 1970, UTC. */
  readonly nowMs: number;
  /** Since the kernel started; it never goes backwards. */
  readonly uptimeMs: number;
};

/** Reads both clocks of the machine. */
export async function readClock(): Promise<ClockReading> {
  const [seconds = '0'] = (await readFile('/proc/uptime', 'utf8')).split(' ');
  return { nowMs: Date.now(), uptimeMs: Math.round(Number(seconds) * SECOND_MS) };
}

/** The system's time: milliseconds since 1970, UTC, whatever that is worth. */
export function systemTimeMs(): number {
  return Date.now();
}

/** Sets the system's clock. */
export async function setClock(nowMs: number, signal?: AbortSignal): Promise<void> {
  await run({
    file: 'date',
    args: ['--utc', '--set', `@${(nowMs / SECOND_MS).toFixed(3)}`],
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * Moves the clock up to a time that is certainly past, such as when this system was built: a
 * machine whose battery is empty starts in 1970, where every certificate is from the future.
 * Returns the time now, and throws `ClockError` when the clock could not be moved.
 */
export async function raiseClock(floorMs: number, signal?: AbortSignal): Promise<number> {
  const { nowMs } = await readClock();
  if (nowMs >= floorMs) return nowMs;
  await setClock(floorMs, signal);
  const after = await readClock();
  if (after.nowMs < floorMs) {
    throw new ClockError('CLOCK_UNSET', 'The clock could not be set; check the board battery.');
  }
  return after.nowMs;
}
