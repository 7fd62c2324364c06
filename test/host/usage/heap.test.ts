import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { giveBackHeap } from '../../../src/host/usage/heap.ts';
import { HOUR_MS, SECOND_MS } from '../../../src/lib/units.ts';

const before = globalThis.gc;

afterEach(() => {
  globalThis.gc = before;
});

/** Sleeps at once, and ends at this round; answers how long each sleep was to be. */
async function roundsOf(count: number, onRound: () => void = () => {}): Promise<number[]> {
  const ending = new AbortController();
  const pauses: number[] = [];
  const sleep = async (ms: number): Promise<void> => {
    if (pauses.length > 0) onRound();
    pauses.push(ms);
    if (pauses.length > count) ending.abort();
  };
  await giveBackHeap(sleep, ending.signal);
  return pauses;
}

test('it looks ever more rarely, and every hour in the end', async () => {
  const pauses = await roundsOf(6);
  expect(pauses.slice(0, 3)).toEqual([30 * SECOND_MS, 120 * SECOND_MS, 480 * SECOND_MS]);
  expect(pauses.slice(-2)).toEqual([HOUR_MS, HOUR_MS]);
});

test('what a start left in the heap is given back to the machine', async () => {
  setFlagsFromString('--expose-gc');
  globalThis.gc = runInNewContext('gc') as NodeJS.GCFunction;
  let start: object[] | undefined = Array.from({ length: 300_000 }, (_, n) => ({ n }));
  const { heapTotal, heapUsed } = process.memoryUsage();
  expect(start.length).toBe(300_000);
  start = undefined;
  const left: number[] = [];
  await roundsOf(1, () => left.push(process.memoryUsage().heapTotal));
  expect(heapUsed - process.memoryUsage().heapUsed).toBeGreaterThan(8_000_000);
  expect(heapTotal - (left[0] ?? heapTotal)).toBeGreaterThan(8_000_000);
});
