import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { isLaterMeter, type Use } from '../../../src/capacity/use/meter.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { openMeters, type Meters } from '../../../src/node/meter/meters.ts';
import { NOW_MS } from '../../support/contracts.ts';

const folder = mkdtempSync(join(tmpdir(), 'zos-meters-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ID = 'c0'.repeat(32);
const NONE: ReadonlySet<string> = new Set();
const useOf = (cpuMs: number): Use => ({
  run: '1 1',
  cpuMs,
  receivedBytes: 0,
  sentBytes: 0,
  memoryBytes: 0,
  storageBytes: 0,
});
const usesOf = (cpuMs: number) => new Map([[ID, new Map([['web', useOf(cpuMs)]])]]);

async function open(path: string, clock = { steadyMs: 0 }) {
  const told: number[] = [];
  const troubles: string[] = [];
  const meters: Meters = await openMeters({
    path,
    clock: () => NOW_MS + clock.steadyMs,
    steady: () => clock.steadyMs,
    onChange: () => told.push(meters.meterOf(ID)?.cpuMs ?? -1),
    onTrouble: (what) => troubles.push(what),
  });
  const change = async (): Promise<void> => {
    const before = told.length;
    for (let tries = 0; told.length === before && tries < 30_000; tries += 1) await sleep(2);
  };
  return { meters, clock, told, troubles, change };
}

test('a meter is told every quarter of an hour, and is on the disk before', async () => {
  const path = join(folder, 'told.json');
  const { meters, clock, told, change } = await open(path);
  meters.take(usesOf(10), { ending: NONE });
  expect(meters.meterOf(ID)).toBeUndefined();
  clock.steadyMs = 15 * MINUTE_MS;
  const changed = change();
  meters.take(usesOf(20), { ending: NONE });
  await changed;
  expect(told).toEqual([20]);
  expect(readFileSync(path, 'utf8')).toContain('"cpuMs":20');
  meters.take(usesOf(30), { ending: NONE });
  expect(meters.meterOf(ID)?.cpuMs).toBe(20);
});

test('an agent that starts again goes on where the disk says, never below what was told', async () => {
  const path = join(folder, 'again.json');
  const first = await open(path);
  first.meters.take(usesOf(10), { ending: NONE });
  first.clock.steadyMs = 15 * MINUTE_MS;
  const changed = first.change();
  first.meters.take(usesOf(20), { ending: NONE });
  await changed;
  const told = first.meters.meterOf(ID);
  first.meters.take(usesOf(25), { ending: NONE });
  const second = await open(path, { steadyMs: 0 });
  expect(second.meters.meterOf(ID)).toEqual(told);
  // The same run went on meanwhile.
  second.meters.take(usesOf(60), { ending: NONE });
  const settled = second.change();
  second.meters.take(new Map(), { ending: new Set([ID]) });
  await settled;
  const last = second.meters.meterOf(ID);
  expect(last?.cpuMs).toBe(60);
  expect(told !== undefined && last !== undefined && isLaterMeter(told, last)).toBe(true);
});

test('an end is told with the last of its meter, and then the meter is forgotten', async () => {
  const { meters, change } = await open(join(folder, 'end.json'));
  meters.take(usesOf(10), { ending: NONE });
  meters.take(usesOf(15), { ending: new Set([ID]) });
  expect(meters.isSettled(ID)).toBe(false);
  const changed = change();
  meters.take(new Map(), { ending: new Set([ID]) });
  await changed;
  expect(meters.isSettled(ID)).toBe(true);
  expect(meters.meterOf(ID)?.cpuMs).toBe(15);
  meters.take(new Map(), { ending: NONE });
  expect(meters.isSettled(ID)).toBe(false);
});

test('a disk that takes nothing holds up no end, and what was not kept is not told', async () => {
  const path = join(folder, 'full');
  mkdirSync(path);
  const { meters, troubles, change } = await open(path);
  meters.take(usesOf(10), { ending: NONE });
  const changed = change();
  meters.take(new Map(), { ending: new Set([ID]) });
  await changed;
  expect(meters.isSettled(ID)).toBe(true);
  expect(meters.meterOf(ID)).toBeUndefined();
  expect(troubles).toContain('meters');
});
