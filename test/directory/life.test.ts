import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  afterAdmission,
  afterCancellation,
  afterReceipt,
  afterTime,
  bookedResources,
  dueMs,
  isLive,
  isOver,
  type Life,
  type LifeVersion,
  RESERVATION_MS,
} from '../../src/directory/life.ts';

const NOW = 1_000_000;
const END = NOW + 10 * RESERVATION_MS;

function version(number: number, cpuMillis = 100): LifeVersion {
  const resources = { cpuMillis, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 };
  return { digest: `v${number}`, version: number, resources, notAfterMs: END, lengthBytes: 1 };
}

const reserved = afterAdmission(undefined, version(1), NOW);
const running = afterReceipt(reserved, 'running', version(1));
const updating = afterAdmission(running, version(2, 300), NOW);

test('a reservation lapses by itself and gives its room back, not a moment before', () => {
  const due = NOW + RESERVATION_MS;
  expect(dueMs(reserved)).toBe(due);
  expect(afterTime(reserved, due - 1)).toEqual(reserved);
  const released = afterTime(reserved, due);
  expect(released).toMatchObject({ state: 'released', pending: null });
  expect(bookedResources(released).cpuMillis).toBe(0);
});

test('an update that lapses or is refused leaves what the node holds', () => {
  for (const life of [
    afterTime(updating, NOW + RESERVATION_MS),
    afterReceipt(updating, 'refused', version(2)),
  ]) {
    expect(life).toEqual(running);
  }
});

test('a node that takes a lapsed contract up late is believed, for it runs there', () => {
  const released = afterTime(reserved, NOW + RESERVATION_MS);
  const late = afterReceipt(released, 'running', version(1));
  expect(late).toMatchObject({ state: 'running', held: version(1) });
  expect(bookedResources(late).cpuMillis).toBe(100);
});

test('what ends is over at its end, whoever had the last word', () => {
  expect(dueMs(running)).toBe(END);
  expect(afterTime(running, END).state).toBe('expired');
  expect(afterTime(afterCancellation(running), END).state).toBe('expired');
});

test('a cancelled contract stays cancelled, and booked, until its node says it ended', () => {
  const cancelled = afterCancellation(running);
  expect(isLive(cancelled)).toBe(false);
  const still = afterReceipt(cancelled, 'running', version(1));
  expect(still.state).toBe('cancelled');
  expect(bookedResources(still).cpuMillis).toBe(100);
  const ended = afterReceipt(still, 'ended', version(1));
  expect(ended.state).toBe('ended');
  expect(bookedResources(ended).cpuMillis).toBe(0);
});

const WORDS = ['accepted', 'running', 'refused', 'ended'] as const;
type Move = (life: Life, nowMs: number) => Life;

const moves = fc.oneof(
  fc.record({ word: fc.constantFrom(...WORDS), n: fc.nat(4) }).map(
    ({ word, n }): Move =>
      (life) =>
        afterReceipt(life, word, version(n + 1)),
  ),
  fc.constant<Move>((life) => afterCancellation(life)),
  fc.constant<Move>((life, nowMs) => afterTime(life, nowMs)),
  fc.nat(4).map(
    (n): Move =>
      (life, nowMs) =>
        life.pending !== null || isOver(life) || life.isCancelled
          ? life
          : afterAdmission(life, version(n + 1), nowMs),
  ),
);

test('in whatever order things come, time ends all, and what is over books nothing', () => {
  fc.assert(
    fc.property(fc.array(moves, { maxLength: 30 }), (steps) => {
      let life: Life = reserved;
      let nowMs = NOW;
      for (const step of steps) {
        nowMs += RESERVATION_MS / 4;
        life = step(life, nowMs);
        expect(life.pending === null).toBe(life.reservedUntilMs === null);
        if (isOver(life)) expect(bookedResources(life).cpuMillis).toBe(0);
      }
      for (let i = 0; i < 3; i += 1) life = afterTime(life, END + 10 * RESERVATION_MS);
      expect(bookedResources(life).cpuMillis).toBe(0);
      expect(dueMs(life)).toBe(null);
    }),
  );
});
