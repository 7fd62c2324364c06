import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/lib/units.ts';
import {
  decideTurn,
  mayUpdate,
  type NodeWord,
  outcomeOf,
  overdueOutcome,
  TURN_MS,
  turnsAtOnce,
} from '../../src/rollout/plan.ts';
import type { BadMark, UpdatePolicy } from '../../src/rollout/spec.ts';

const RELEASE = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
/** A Sunday at three. */
const NOW_MS = Date.UTC(2026, 10, 22, 3);

const policy: UpdatePolicy = {
  grid: 'test',
  farm: 'fa'.repeat(32),
  farmer: 'fe'.repeat(32),
  version: 3,
  window: { days: ['sun'], startMinute: 120, lengthMinutes: 180 },
  sharePercent: 50,
  stopped: [],
  forgiven: [],
};
const mark: BadMark = {
  what: 'system',
  sha256: RELEASE,
  reason: 'the agent ended with status 1 three times',
  atMs: NOW_MS,
  policyVersion: 2,
};

const wish = {
  what: 'system' as const,
  release: RELEASE,
  policy: policy as UpdatePolicy | null,
  nowMs: NOW_MS,
  bad: [] as readonly BadMark[],
  isClockSynced: true,
};

function said(over: Partial<typeof wish>): string {
  const judged = mayUpdate({ ...wish, ...over });
  return judged === undefined ? 'goes' : `${judged.code}: ${judged.because}`;
}

test('a node goes by its own checks, and says what it waits for', () => {
  expect(said({})).toBe('goes');
  expect(said({ nowMs: NOW_MS + 3 * HOUR_MS })).toBe(
    'WINDOW_CLOSED: outside of the window Sun 02:00-05:00 UTC, opens in 164 h 0 min',
  );
  expect(said({ nowMs: NOW_MS - 2 * HOUR_MS })).toBe(
    'WINDOW_CLOSED: outside of the window Sun 02:00-05:00 UTC, opens in 1 h 0 min',
  );
  expect(said({ isClockSynced: false })).toBe('CLOCK_UNSYNCED: waiting for the right time');
  expect(said({ policy: { ...policy, stopped: [RELEASE] } })).toBe(
    'STOPPED_BY_FARMER: the farmer stopped a1a1a1a1a1',
  );
  expect(said({ bad: [mark] })).toBe(
    'BAD_HERE: this node found a1a1a1a1a1 bad: the agent ended with status 1 three times',
  );
});

test('nobody begins in the last minute of a window', () => {
  const closesMs = Date.UTC(2026, 10, 22, 5);
  expect(said({ nowMs: closesMs - MINUTE_MS })).toBe('goes');
  expect(said({ nowMs: closesMs - MINUTE_MS + 1 })).toContain('WINDOW_CLOSED');
});

test('with no policy the agent changes in place at any time, and nothing restarts', () => {
  expect(said({ policy: null })).toBe('goes');
  expect(said({ policy: null, what: 'system', nowMs: NOW_MS + 5 * DAY_MS })).toBe('goes');
  const kernel = mayUpdate({ ...wish, policy: null, what: 'kernel' });
  expect(kernel?.code).toBe('NO_WINDOW');
});

test('a bad mark is lifted by a later word of the farmer, and only for its release', () => {
  const forgiving = (release: string, version: number): UpdatePolicy => ({
    ...policy,
    forgiven: [{ release, version }],
  });
  const marked = { bad: [mark] };
  expect(said({ ...marked, policy: forgiving(RELEASE, 3) })).toBe('goes');
  expect(said({ ...marked, policy: forgiving(RELEASE, 2) })).toContain('BAD_HERE');
  expect(said({ ...marked, policy: forgiving(OTHER, 3) })).toContain('BAD_HERE');
  expect(said({ bad: [{ ...mark, policyVersion: 3 }], policy: forgiving(RELEASE, 3) })).toContain(
    'BAD_HERE',
  );
});

test('whatever the directory would say, no node goes outside of its window', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8 * DAY_MS }), (laterMs) => {
      const nowMs = NOW_MS + laterMs;
      const ofDayMs = nowMs % DAY_MS;
      const isSunday = new Date(nowMs).getUTCDay() === 0;
      const isWithin = isSunday && ofDayMs >= 2 * HOUR_MS && ofDayMs <= 5 * HOUR_MS - MINUTE_MS;
      expect(said({ nowMs }) === 'goes').toBe(isWithin);
    }),
    { numRuns: 1000 },
  );
});

const books = {
  what: 'system' as const,
  release: RELEASE,
  policy: policy as UpdatePolicy | null,
  nowMs: NOW_MS,
  node: 'n1',
  nodeCount: 4,
  open: [],
  stop: null,
};
const turn = (node: string, release = RELEASE) =>
  ({ node, what: 'system', release, untilMs: NOW_MS + 1 }) as const;

test('turns are given up to the share, and the one that was given is given again', () => {
  expect(decideTurn(books)).toEqual({ may: true, untilMs: NOW_MS + TURN_MS.system });
  expect(decideTurn({ ...books, open: [turn('n2')] })).toMatchObject({ may: true });
  expect(decideTurn({ ...books, open: [turn('n2'), turn('n3', OTHER)] })).toMatchObject({
    code: 'SHARE_TAKEN',
    because: '2 of 2 at a time are at it',
  });
  expect(decideTurn({ ...books, open: [turn('n1'), turn('n2')] })).toEqual({
    may: true,
    untilMs: NOW_MS + 1,
  });
});

test('a stopped release goes on when the farmer says so after it was stopped', () => {
  const stop = { because: 'node n2 did not come back', policyVersion: 3 };
  expect(decideTurn({ ...books, stop })).toMatchObject({
    code: 'STOPPED',
    because: 'a1a1a1a1a1 is stopped: node n2 did not come back',
  });
  const forgiven = [{ release: RELEASE, version: 4 }];
  expect(decideTurn({ ...books, stop, policy: { ...policy, version: 4, forgiven } })).toMatchObject(
    {
      may: true,
    },
  );
});

test.each([
  [4, 25, 1],
  [4, 50, 2],
  [10, 25, 2],
  [3, 1, 1],
  [3, 100, 3],
  [0, 100, 1],
])('of %i nodes a share of %i %% is %i', (nodeCount, sharePercent, expected) => {
  expect(turnsAtOnce({ ...policy, sharePercent }, nodeCount)).toBe(expected);
  expect(turnsAtOnce(null, nodeCount)).toBe(1);
});

test('a turn ends by what its node signed, and badly when it said nothing in time', () => {
  const open = turn('n1');
  const runs = { system: OTHER, kernel: null };
  const outcome = (word: Omit<NodeWord, 'isOnTrial'>, isOnTrial = false) =>
    outcomeOf(open, { ...word, isOnTrial }, policy);
  expect(outcome({ runs, bad: [] })).toBeUndefined();
  expect(outcome({ runs: { ...runs, kernel: RELEASE }, bad: [] })).toBeUndefined();
  expect(outcome({ runs: { ...runs, system: RELEASE }, bad: [] }, true)).toBeUndefined();
  expect(outcome({ runs: { ...runs, system: RELEASE }, bad: [] })).toEqual({ end: 'good' });
  expect(outcome({ runs, bad: [mark] })).toEqual({ end: 'bad', because: mark.reason });
  expect(overdueOutcome(null, NOW_MS)).toEqual({ end: 'bad', because: 'it did not come back' });
  expect(overdueOutcome(NOW_MS - 2 * MINUTE_MS, NOW_MS)).toEqual({
    end: 'bad',
    because: 'it did not come back',
  });
  expect(overdueOutcome(NOW_MS - 1000, NOW_MS)).toEqual({
    end: 'bad',
    because: 'it still ran the release before when its time was over',
  });
});
