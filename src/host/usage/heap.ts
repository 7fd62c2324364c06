import { HOUR_MS, SECOND_MS } from '../../lib/units.ts';

/** By then most starts are over; what comes later is for the rounds after it. */
const FIRST_MS = 30 * SECOND_MS;
const SLOWER = 4;

/**
 * Gives back, when a start is over and then ever more rarely, what is in the heap and used by
 * nobody. V8 does so only when the heap grows, which one at rest does not: half of an agent's heap
 * is what its start left there. Takes some 50 ms. Without `--expose-gc` it does nothing.
 */
export async function giveBackHeap(
  sleep: (ms: number, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let pauseMs = FIRST_MS; !signal.aborted; pauseMs = Math.min(SLOWER * pauseMs, HOUR_MS)) {
    await sleep(pauseMs, signal);
    if (signal.aborted) return;
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }
}
