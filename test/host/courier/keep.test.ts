import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Reach } from '../../../src/host/courier/errand.ts';
import { type CourierProcess, openCourier } from '../../../src/host/courier/keep.ts';
import { doRounds } from '../../../src/host/courier/rounds.ts';
import { useWayOut } from '../../../src/host/http.ts';
import { codeOf } from '../../../src/lib/errors.ts';

const GET = {
  url: 'http://one.example/',
  method: 'GET',
  headers: {},
  way: { proxy: null, nameServers: [] },
  headMs: 10_000,
  idleMs: 0,
} as const;

const empty: Reach = async () => ({
  status: 204,
  headers: {},
  close: () => undefined,
  chunks: (async function* () {})(),
});

/** Couriers of this process, and a clock that only sleeping moves. */
function openKept() {
  const stop = new AbortController();
  const kill: (() => void)[] = [];
  const waits: number[] = [];
  const told: (string | null)[] = [];
  let nowMs = 0;
  const start = (): CourierProcess => {
    const [ours, theirs] = duplexPair();
    const { promise: ended, resolve } = Promise.withResolvers<Awaited<CourierProcess['ended']>>();
    const end = (): void => {
      theirs.end();
      resolve({ exitCode: undefined, signal: 'SIGKILL' });
    };
    kill.push(end);
    void doRounds({ socket: theirs, reach: empty, useWay: useWayOut });
    return { socket: ours, ended, stop: async () => end() };
  };
  const pings: (() => void)[] = [];
  const courier = openCourier({
    start,
    steady: () => nowMs,
    sleep: async (ms, signal) => {
      if (ms === 15_000) {
        const { promise, resolve } = Promise.withResolvers<void>();
        pings.push(resolve);
        signal.addEventListener('abort', () => resolve());
        return promise;
      }
      waits.push(ms);
      nowMs += ms;
      return undefined;
    },
    onTrouble: (why) => void told.push(why),
  });
  const running = courier.run(stop.signal);
  return { courier, kill, waits, told, pings, stop, running };
}

test('one that ends is followed by another, slower each time, and each end is told', async () => {
  const { courier, kill, waits, told, stop, running } = openKept();
  for (let ends = 0; ends < 8; ends += 1) {
    const { status } = await courier.reach(GET, stop.signal);
    expect(status).toBe(204);
    kill[ends]?.();
    while (kill.length < ends + 2) await turn();
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  expect(told).toEqual(Array.from({ length: 8 }, () => 'The courier is gone. (SIGKILL)'));
  stop.abort();
  await running;
});

test('one that answers is told to be well', async () => {
  const { courier, told, pings, stop, running } = openKept();
  await courier.reach(GET, stop.signal);
  for (let looks = 0; looks < 50; looks += 1) await turn();
  pings[0]?.();
  while (told.length === 0) await turn();
  expect(told).toEqual([null]);
  stop.abort();
  await running;
});

test('what is asked while there is none waits, and no longer than somebody wants it', async () => {
  const { courier } = openKept();
  const stop = new AbortController();
  const lonely = openCourier({
    start: () => {
      throw new Error('there is no program');
    },
    steady: () => 0,
    sleep: async (_ms, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    onTrouble: () => undefined,
  });
  void lonely.run(stop.signal);
  const asked = lonely.reach(GET, stop.signal).catch((error: unknown) => error);
  stop.abort(new Error('enough'));
  expect(await asked).toMatchObject({ message: 'enough' });
  const late = lonely.reach({ ...GET, headMs: 1 }, new AbortController().signal);
  expect(await late.catch((error: unknown) => (error as Error).name)).toBe('TimeoutError');
  expect(codeOf(await courier.reach(GET, stop.signal).catch((error: unknown) => error))).toBe(
    'UNEXPECTED',
  );
});
