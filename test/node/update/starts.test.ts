import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crashOf } from '../../../src/host/reset/pstore.ts';
import { STARTS_MAX } from '../../../src/contract/start.ts';
import {
  addStart,
  agentReason,
  bootReason,
  leaveMark,
  takeMark,
} from '../../../src/node/update/starts.ts';

test.each([
  ['signal 9', undefined, 'agent-crash', 'it ended by signal 9'],
  ['status 1', undefined, 'agent-crash', 'it ended with status 1'],
  ['memory', undefined, 'agent-crash', 'it took more memory than it may have'],
  ['hung', undefined, 'agent-crash', 'it did not get on with its work for 60 s'],
  ['status 64', undefined, 'update', ''],
  ['status 7', 'status 7', 'update-back', 'the newer system was left: it ended with status 7'],
  [
    'unhealthy 72',
    'unhealthy 72',
    'update-back',
    'the newer system was left: the directory did not hear from it within 72 s',
  ],
  [
    'status 64',
    'unmountable',
    'update-back',
    'the newer system was left: its image could not be mounted',
  ],
])('an agent after the end "%s" and the return "%s" started because of %s', (...row) => {
  const [end, back, reason, detail] = row;
  expect(agentReason(end, back)).toEqual({ reason, detail });
});

test('what an agent said of its end is told, and only when that was the end', () => {
  const stuck = 'its loop stood still for 2 min 0 s at looking at the machine';
  expect(agentReason('hung', undefined, stuck)).toEqual({ reason: 'agent-crash', detail: stuck });
  expect(agentReason('signal 9', undefined, stuck).detail).toBe('it ended by signal 9');
  const grown = 'its timers did not come back below 2048: 2048';
  expect(agentReason('status 65', undefined, grown).detail).toBe(grown);
});

const QUIET = { panic: undefined, hasWatchdogBitten: false, mark: undefined };
const MARK = { reason: 'update', detail: 'to kernel 0123456789' } as const;

test('a machine that nobody knows anything of was switched on', () => {
  expect(bootReason(QUIET)).toEqual({ reason: 'power', detail: '' });
});

test('a machine that was told to go down says so', () => {
  expect(bootReason({ ...QUIET, mark: MARK })).toEqual(MARK);
});

test('a panic on the way down is the reason, and not what the machine was told', () => {
  const panic = 'sysrq triggered crash';
  expect(bootReason({ panic, hasWatchdogBitten: true, mark: MARK })).toEqual({
    reason: 'panic',
    detail: panic,
  });
});

test('a watchdog is the reason where the kernel had no last words', () => {
  const told = bootReason({ ...QUIET, hasWatchdogBitten: true, mark: MARK });
  expect(told.reason).toBe('watchdog');
});

test('the last words are those of a panic, its parts in their order, and an oops has none', () => {
  const text = '<6>[ 1.0] before\n<0>[ 1.1] Kernel panic - not syncing: sysrq triggered crash\n';
  const older = 'Panic#1 Part2\n<6>[ 0.5] long before\n';
  const crash = crashOf(['Oops#1 Part9\nnothing', `Panic#1 Part1\n${text}`, older]);
  expect(crash?.words).toBe('sysrq triggered crash');
  expect(crash?.log).toBe(`<6>[ 0.5] long before\n${text}`);
  expect(crashOf(['Oops#1 Part1\n<4>[ 1.0] BUG\n'])).toBeUndefined();
  expect(crashOf(['Panic#1 Part1\nnothing to read'])?.words).toBe('the kernel panicked');
  expect(crashOf([])).toBeUndefined();
});

test('a mark is about one start, and the first one counts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-starts-'));
  await leaveMark(folder, MARK);
  await leaveMark(folder, { reason: 'requested', detail: 'it was told to go down' });
  expect(await takeMark(folder)).toEqual(MARK);
  expect(await takeMark(folder)).toBeUndefined();
  await rm(folder, { recursive: true });
});

test('the newest starts of a boot are kept, and no more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-starts-'));
  const path = join(folder, 'starts.json');
  const start = { what: 'agent', reason: 'agent-crash', system: 'a'.repeat(64) } as const;
  for (let atMs = 0; atMs < STARTS_MAX; atMs += 1) {
    await addStart(path, { ...start, detail: '', atMs });
  }
  const starts = await addStart(path, { ...start, detail: '', atMs: STARTS_MAX });
  expect(starts.map(({ atMs }) => atMs)).toEqual(
    Array.from({ length: STARTS_MAX }, (_, index) => index + 1),
  );
  await rm(folder, { recursive: true });
});
