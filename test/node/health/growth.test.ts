import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OwnUse } from '../../../src/host/usage/process.ts';
import { readOwnUse } from '../../../src/host/usage/process.ts';
import { HOUR_MS, MiB, MINUTE_MS } from '../../../src/lib/units.ts';
import {
  AGENT_LIMITS,
  type Growth,
  judgeGrowth,
  NO_GROWTH,
  slopeOf,
  withLook,
} from '../../../src/node/health/growth.ts';
import { watchSelf } from '../../../src/node/health/self-watch.ts';

const CALM: OwnUse = { memoryBytes: 40 * MiB, descriptors: 40, timers: 12 };

/** So many minutes of looks, one a minute. */
function after(minutes: number, useAt: (minute: number) => OwnUse): Growth {
  let growth = NO_GROWTH;
  for (let minute = 0; minute < minutes; minute += 1) {
    growth = withLook(growth, useAt(minute), minute * MINUTE_MS);
  }
  return growth;
}

test('an agent whose work comes and goes is well, however high it goes', () => {
  const growth = after(3 * 24 * 60, (minute) =>
    minute % 25 === 0 ? CALM : { memoryBytes: 900 * MiB, descriptors: 5000, timers: 9000 },
  );
  expect(judgeGrowth(growth)).toEqual({ is: 'well' });
  expect(growth.floors.length).toBeLessThanOrEqual(48);
});

test('what it does not come back below ends it, with numbers', () => {
  const tooMuch = after(30, () => ({ ...CALM, memoryBytes: 120 * MiB }));
  expect(judgeGrowth(tooMuch)).toEqual({
    is: 'full',
    sentence: 'its own pages of memory did not come back below 96.0 MiB: 120.0 MiB',
  });
  const files = after(30, () => ({ ...CALM, descriptors: 600 }));
  expect(judgeGrowth(files)).toMatchObject({ is: 'full', sentence: /open files .* 512: 600/u });
  expect(judgeGrowth(after(29, () => ({ ...CALM, timers: 5000 })))).toEqual({ is: 'well' });
});

test('growth is told a day ahead, and not the noise of a steady agent', () => {
  const leak = after(6 * 60, (minute) => ({ ...CALM, memoryBytes: (40 + minute / 20) * MiB }));
  expect(judgeGrowth(leak)).toEqual({
    is: 'growing',
    sentence:
      'its own pages of memory grow by 3.0 MiB an hour, and are 56.5 MiB of 96.0 MiB: ' +
      'it starts anew in about 13 h 10 min, and harms no container',
  });
  const slow = after(6 * 60, (minute) => ({ ...CALM, memoryBytes: (40 + minute / 200) * MiB }));
  expect(judgeGrowth(slow)).toEqual({ is: 'well' });
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 720 }), (noise) => {
      const steady = after(noise.length, (minute) => ({
        ...CALM,
        memoryBytes: CALM.memoryBytes + (noise[minute] ?? 0) * 1024,
      }));
      expect(judgeGrowth(steady)).toEqual({ is: 'well' });
    }),
    { numRuns: 20 },
  );
});

test('a slope is that of the line through all floors', () => {
  const floors = [0, 1, 2, 3].map((hour) => ({
    ...CALM,
    timers: 10 + 5 * hour,
    atMs: hour * HOUR_MS,
  }));
  expect(slopeOf(floors, 'timers') * HOUR_MS).toBeCloseTo(5);
  expect(slopeOf(floors, 'descriptors')).toBe(0);
  expect(slopeOf(floors.slice(0, 1), 'timers')).toBe(0);
});

test('an agent that keeps too much ends itself once, and says why before', async () => {
  const told: (string | null)[] = [];
  const ends: string[] = [];
  let nowMs = 0;
  let looks = 0;
  await watchSelf(
    {
      read: async () => {
        looks += 1;
        return looks < 45 ? CALM : { ...CALM, timers: AGENT_LIMITS.timers };
      },
      troubles: { set: (code, sentence) => told.push(sentence && `${code} ${sentence}`) },
      steady: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
      },
      end: async (sentence) => void ends.push(sentence),
    },
    new AbortController().signal,
  );
  // Half of the second half hour was calm: only the third is above all through.
  expect(looks).toBe(90);
  expect(ends).toEqual(['its timers did not come back below 2048: 2048']);
  expect(told.at(-1)).toBe(`AGENT_GROWS The agent is not well: ${ends[0] ?? ''}.`);
  expect(told.slice(0, 60).every((sentence) => sentence === null)).toBe(true);
});

test('what a process takes is read of the process itself', async () => {
  const before = await readOwnUse();
  const timers = Array.from({ length: 50 }, () => setTimeout(() => undefined, 60_000));
  const pages = Buffer.alloc(64 * MiB, 1);
  const during = await readOwnUse();
  timers.forEach(clearTimeout);
  expect(during.timers - before.timers).toBeGreaterThan(40);
  expect(during.memoryBytes - before.memoryBytes).toBeGreaterThan(48 * MiB);
  expect(pages.at(-1)).toBe(1);
  expect((await readOwnUse()).timers).toBeLessThan(during.timers - 40);
});
