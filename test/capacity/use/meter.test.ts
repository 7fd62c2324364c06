import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addUses,
  isLaterMeter,
  newTally,
  type Tally,
  type Use,
} from '../../../src/capacity/use/meter.ts';
import { MiB, SECOND_MS } from '../../../src/lib/units.ts';

const NOW_MS = 1_800_000_000_000;
const USE: Use = {
  run: '7 1',
  cpuMs: 100,
  receivedBytes: 10,
  sentBytes: 20,
  memoryBytes: 64 * MiB,
  storageBytes: 8 * MiB,
};

function after(tally: Tally, use: Partial<Use> | null, elapsedMs = SECOND_MS): Tally {
  const uses = new Map(use === null ? [] : [['web', { ...USE, ...use }]]);
  const nowMs = tally.meter.untilMs + elapsedMs;
  return addUses(tally, uses, { nowMs, elapsedMs });
}

test('a second of 64 MiB is 64 MiB-seconds, and processor time and bytes are as the kernel counts', () => {
  const first = after(newTally(NOW_MS), {});
  expect(first.meter).toMatchObject({ cpuMs: 100, memoryMibSeconds: 0, receivedBytes: 10 });
  const { meter } = after(first, { cpuMs: 350, sentBytes: 1020 });
  expect(meter).toEqual({
    sinceMs: NOW_MS,
    untilMs: NOW_MS + 2 * SECOND_MS,
    cpuMs: 350,
    memoryMibSeconds: 64,
    storageMibSeconds: 8,
    receivedBytes: 10,
    sentBytes: 1020,
  });
});

test('a container that was started again is counted on, and one that is gone costs nothing', () => {
  const ran = after(after(newTally(NOW_MS), {}), { cpuMs: 350 });
  const gone = after(ran, null);
  expect(gone.meter).toEqual({ ...ran.meter, untilMs: gone.meter.untilMs });
  const again = after(gone, { run: '9 1', cpuMs: 40 });
  expect(again.meter.cpuMs).toBe(390);
  expect(again.meter.receivedBytes).toBe(20);
});

test('while nobody looked, no memory is counted, and the kernel’s own counts are', () => {
  const first = after(newTally(NOW_MS), {});
  const { meter } = after(first, { cpuMs: 5000 }, 3_600_000);
  expect(meter).toMatchObject({ cpuMs: 5000, memoryMibSeconds: 0, storageMibSeconds: 0 });
});

test('what is less than a MiB-second adds up', () => {
  let tally = after(newTally(NOW_MS), { memoryBytes: 512 * 1024, storageBytes: 0 });
  for (let at = 0; at < 10; at += 1) tally = after(tally, { memoryBytes: 512 * 1024 }, 400);
  expect(tally.meter.memoryMibSeconds).toBe(2);
});

const anyUse = fc.option(
  fc.record({
    run: fc.constantFrom('1 1', '2 2', '3 3'),
    cpuMs: fc.nat(),
    receivedBytes: fc.nat(),
    sentBytes: fc.nat(),
    memoryBytes: fc.nat(),
    storageBytes: fc.nat(),
  }),
  { nil: null },
);

test('whatever a kernel shows, and whatever the clocks do, a meter only grows', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyUse, fc.nat(100_000), fc.integer())), (looks) => {
      let tally = newTally(NOW_MS);
      for (const [use, elapsedMs, offMs] of looks) {
        const uses = new Map<string, Use>(use === null ? [] : [['web', use]]);
        const next = addUses(tally, uses, { nowMs: NOW_MS + offMs, elapsedMs });
        expect(isLaterMeter(tally.meter, next.meter)).toBe(true);
        tally = next;
      }
    }),
  );
});

const METER = after(after(newTally(NOW_MS), {}), { cpuMs: 350 }).meter;

test.each([
  ['the same again', {}, true],
  ['more of everything', { cpuMs: 400, untilMs: METER.untilMs + 1 }, true],
  ['less processor time', { cpuMs: 349 }, false],
  ['less memory', { memoryMibSeconds: 63 }, false],
  ['an earlier end', { untilMs: METER.untilMs - 1 }, false],
  ['another beginning within what was told', { sinceMs: METER.sinceMs + 1 }, false],
  [
    'a new count from its end on',
    { sinceMs: METER.untilMs, cpuMs: 0, untilMs: METER.untilMs },
    true,
  ],
  ['a new count that ends before it begins', { sinceMs: METER.untilMs + 1, cpuMs: 0 }, false],
])('after a meter, %s', (_, changes, isLater) => {
  expect(isLaterMeter(METER, { ...METER, ...changes })).toBe(isLater);
});
