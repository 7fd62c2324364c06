import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { openProgress } from '../../../src/node/health/progress.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';
import { graphOf } from '../../../src/node/loop/graph.ts';
import { loopDriver } from '../../../src/node/loop/observation.ts';
import { openLoop } from '../../../src/node/loop/reconcile.ts';
import { openSupervisor } from '../../../src/node/update/supervisor.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-progress-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

/** The agent's loop over a machine that answers, or at which it hangs with its deadline lost. */
function openWatched() {
  const clock = { steadyMs: 0, isLost: false };
  const steady = (): number => clock.steadyMs;
  const progress = openProgress(steady);
  const troubles = openTroubles({ steady, say: () => undefined });
  const never = Promise.withResolvers<never>();
  const loop = openLoop({
    drivers: new Map([
      [
        'thing',
        loopDriver({
          kind: 'thing',
          observe: async () => (clock.isLost ? never.promise : new Map([['it', 1]])),
          compare: () => ({ change: 'none', because: '' }) as const,
          create: async () => undefined,
          update: async () => undefined,
          remove: async () => undefined,
        }),
      ],
    ]),
    lookAgainMs: 5 * SECOND_MS,
    stepMsMax: MINUTE_MS,
    wantOf: () => graphOf({ kinds: ['thing'], items: [], facts: [] }),
    onView: () => undefined,
    onFailure: () => undefined,
    onMove: progress.move,
    clock: steady,
    spent: () => 0,
    chance: () => 0,
  });
  return { clock, progress, troubles, loop };
}

test('a loop is stuck when it is past the time that it gave itself, and says where', () => {
  let nowMs = 0;
  const progress = openProgress(() => nowMs);
  nowMs = 10 * MINUTE_MS;
  expect(progress.stuckAt()).toBeUndefined();
  progress.move('looking at the machine', nowMs + 20 * SECOND_MS);
  nowMs += 29 * SECOND_MS;
  expect(progress.stuckAt()).toBeUndefined();
  nowMs += 2 * SECOND_MS;
  expect(progress.stuckAt()).toBe('its loop stood still for 31.0 s at looking at the machine');
  progress.move('resting', nowMs + 1);
  expect(progress.stuckAt()).toBeUndefined();
  expect(progress.count()).toBe(2);
});

test('PID 1 hears of the agent while its loop moves, and not one second longer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { clock, progress, troubles, loop } = openWatched();
  const supervisor = openSupervisor({ agent: folder, boot: folder });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  const beats: string[] = [];
  const beat = async (): Promise<void> => supervisor.sayAlive({ progress, troubles });
  /** Five seconds of the loop's time, and then what the agent says to PID 1. */
  const pass = async (): Promise<string> => {
    clock.steadyMs += 5 * SECOND_MS;
    if (!clock.isLost) await vi.advanceTimersByTimeAsync(5 * SECOND_MS);
    await beat();
    const { mtimeMs } = await stat(join(folder, 'alive')).catch(() => ({ mtimeMs: 0 }));
    beats.push(String(mtimeMs));
    return troubles.list(0).map(({ code }) => code)[0] ?? '';
  };
  for (let turn = 0; turn < 4; turn += 1) expect(await pass()).toBe('');
  expect(new Set(beats).size).toBe(4);
  expect(progress.count()).toBeGreaterThan(4);
  // It is lost in the middle of a look: nothing ends that any more, and the event loop is well.
  await vi.advanceTimersByTimeAsync(5 * SECOND_MS);
  clock.isLost = true;
  clock.steadyMs += 5 * SECOND_MS;
  await vi.advanceTimersByTimeAsync(5 * SECOND_MS);
  const words: string[] = [];
  for (let turn = 0; turn < 12; turn += 1) words.push(await pass());
  expect(words.at(0)).toBe('');
  expect(words.at(-1)).toBe('LOOP_STUCK');
  const after = words.indexOf('LOOP_STUCK');
  expect(new Set(beats.slice(4 + after)).size).toBe(1);
  expect(await readFile(join(folder, 'why'), 'utf8')).toMatch(
    /^its loop stood still for .* at looking at the machine$/u,
  );
  expect(await supervisor.takeWhy()).toMatch(/stood still/u);
  expect(await supervisor.takeWhy()).toBeUndefined();
  ending.abort();
  await running;
});
