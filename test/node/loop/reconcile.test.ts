import { expect, test } from 'vitest';
import type { Driver } from '../../../src/lib/driver.ts';
import { graphOf, itemOf } from '../../../src/node/loop/graph.ts';
import { loopDriver } from '../../../src/node/loop/observation.ts';
import { openLoop, type View } from '../../../src/node/loop/reconcile.ts';
import { printPlan } from '../../../src/node/loop/step.ts';

type Thing = { readonly value: number };

/** Things by id that answer when the test lets them. */
function makeDriver(kind: string, things: Map<string, Thing>, told: string[]) {
  const driver: Driver<Thing & { id: string }, Thing> = {
    kind,
    observe: async () => new Map(things),
    compare: (spec, have) =>
      spec.value === have.value
        ? { change: 'none', because: '' }
        : { change: 'update', because: 'other value' },
    create: async ({ id, value }) => {
      told.push(`create ${kind} ${id}`);
      things.set(id, { value });
    },
    update: async ({ id, value }) => {
      told.push(`update ${kind} ${id}`);
      things.set(id, { value });
    },
    remove: async (id) => {
      told.push(`remove ${kind} ${id}`);
      things.delete(id);
    },
  };
  return driver;
}

function wantOf(kind: string, ids: readonly string[]) {
  const items = ids.map((id) => itemOf({ kind, id, spec: { id, value: 1 }, deps: [] }));
  return graphOf({ kinds: [kind], items, facts: [] });
}

type LoopWish = {
  readonly driver: Driver<Thing & { id: string }, Thing>;
  readonly ids: readonly string[];
  readonly stepMsMax?: number;
  /** Ends the loop when it returns true. */
  readonly isOver: (view: View) => boolean;
};

async function runLoop({ driver, ids, stepMsMax = 1000, isOver }: LoopWish): Promise<string[]> {
  const plans: string[] = [];
  const ending = new AbortController();
  const loop = openLoop({
    drivers: new Map([[driver.kind, loopDriver(driver)]]),
    lookAgainMs: 20,
    stepMsMax,
    wantOf: () => wantOf(driver.kind, ids),
    onView: (view) => {
      plans.push(printPlan(view.steps, 0).replaceAll(/, -?[\d.]+ s more/gu, ''));
      if (isOver(view)) ending.abort();
    },
    onFailure: (key, sentence) => plans.push(`failed ${key}: ${sentence}\n`),
    clock: () => Math.round(performance.now()),
    spent: () => 0,
    chance: () => 0,
  });
  await loop.run(ending.signal);
  return plans;
}

test('it looks, works, and looks again until there is nothing to do', async () => {
  const told: string[] = [];
  const things = new Map([['old', { value: 1 }]]);
  const plans = await runLoop({
    driver: makeDriver('lamp', things, told),
    ids: ['a', 'b'],
    isOver: ({ steps }) => steps.length === 0,
  });
  expect(told).toEqual(['remove lamp old', 'create lamp a', 'create lamp b']);
  expect([...things.keys()]).toEqual(['a', 'b']);
  expect(plans).toHaveLength(2);
});

test('a step that hangs is told to stop, and not started a second time while it hangs', async () => {
  const told: string[] = [];
  const signals: AbortSignal[] = [];
  const driver: ReturnType<typeof makeDriver> = {
    ...makeDriver('lamp', new Map(), told),
    create: async (_spec, signal) => {
      signals.push(signal);
      await new Promise(() => undefined);
    },
  };
  let looks = 0;
  const plans = await runLoop({
    driver,
    ids: ['a'],
    stepMsMax: 30,
    isOver: () => (looks += 1) > 4,
  });
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  expect(plans).toContain('failed lamp a: It did not end within 0.0 s.\n');
  expect(plans.at(-1)).toBe('wait lamp a: busy: a step is at work on it\n');
});

test('a step that hangs keeps nothing that comes later waiting', async () => {
  const told: string[] = [];
  const things = new Map<string, Thing>();
  const good = makeDriver('lamp', things, told);
  const driver: typeof good = {
    ...good,
    create: async (spec, signal) => {
      if (spec.id === 'hung') await new Promise(() => undefined);
      await good.create(spec, signal);
    },
  };
  const ending = new AbortController();
  const ids = ['hung'];
  const loop = openLoop({
    drivers: new Map([['lamp', loopDriver(driver)]]),
    lookAgainMs: 60_000,
    stepMsMax: 60_000,
    wantOf: () => wantOf('lamp', ids),
    onView: ({ steps }) => {
      // The first pass has begun the step that hangs: now somebody else wants something.
      if (ids.length === 1) {
        ids.push('late');
        setTimeout(() => loop.wake(), 10);
      }
      if (steps.length === 1 && things.has('late')) ending.abort();
    },
    onFailure: (key) => told.push(`failed ${key}`),
    clock: () => Math.round(performance.now()),
    spent: () => 0,
    chance: () => 0,
  });
  await loop.run(ending.signal);
  expect(told).toEqual(['create lamp late']);
});

test('what a driver hears of is looked at without waiting for the next look', async () => {
  const told: string[] = [];
  const things = new Map<string, Thing>();
  let hear = (): void => undefined;
  const driver: ReturnType<typeof makeDriver> = {
    ...makeDriver('lamp', things, told),
    listen: (onChange) => {
      hear = onChange;
    },
  };
  const ending = new AbortController();
  const loop = openLoop({
    drivers: new Map([['lamp', loopDriver(driver)]]),
    lookAgainMs: 3_600_000,
    stepMsMax: 60_000,
    wantOf: () => wantOf('lamp', ['a']),
    onView: ({ steps }) => {
      if (steps.length > 0) return;
      if (told.length === 2) ending.abort();
      // It goes out by itself.
      things.delete('a');
      hear();
    },
    onFailure: (key) => told.push(`failed ${key}`),
    clock: () => Math.round(performance.now()),
    spent: () => 0,
    chance: () => 0,
  });
  await loop.run(ending.signal);
  expect(told.slice(0, 2)).toEqual(['create lamp a', 'create lamp a']);
});

test.each([
  ['as agreed when a look takes little', 1, 1000],
  ['later when it takes much', 7, 1400],
  ['never later than twice as much', 70, 2000],
])('it looks again %s', async (_, tookMs, againMs) => {
  let [nowMs, tookAllMs] = [0, 0];
  const ending = new AbortController();
  const rests: number[] = [];
  const loop = openLoop({
    drivers: new Map([['lamp', loopDriver(makeDriver('lamp', new Map(), []))]]),
    lookAgainMs: 1000,
    stepMsMax: 60_000,
    wantOf: () => wantOf('lamp', []),
    onView: () => {
      tookAllMs += tookMs;
    },
    onFailure: () => undefined,
    onMove: (what, latestMs) => {
      if (what !== 'resting') return;
      rests.push(latestMs - nowMs);
      nowMs = latestMs;
      if (rests.length === 3) ending.abort();
      loop.wake();
    },
    clock: () => nowMs,
    spent: () => tookAllMs,
    chance: () => 0,
  });
  await loop.run(ending.signal);
  expect(rests).toEqual([againMs, againMs, againMs]);
});

test('one thing that fails does not keep the others waiting', async () => {
  const told: string[] = [];
  const things = new Map<string, Thing>();
  const good = makeDriver('lamp', things, told);
  const driver: typeof good = {
    ...good,
    create: async (spec, signal) => {
      if (spec.id === 'bad') throw new Error('broken glass');
      return good.create(spec, signal);
    },
  };
  let looks = 0;
  const plans = await runLoop({
    driver,
    ids: ['bad', 'a', 'b'],
    isOver: () => (looks += 1) > 1,
  });
  expect([...things.keys()]).toEqual(['a', 'b']);
  expect(plans.at(-1)).toBe('wait lamp bad: back-off: broken glass (try 1)\n');
});

test('told to end, it tells the step under way to stop, and ends', async () => {
  const ending = new AbortController();
  const stopped: unknown[] = [];
  const driver: ReturnType<typeof makeDriver> = {
    ...makeDriver('lamp', new Map(), []),
    create: async (_spec, signal) => {
      setTimeout(() => ending.abort(), 10);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      stopped.push(signal.aborted);
    },
  };
  const loop = openLoop({
    drivers: new Map([['lamp', loopDriver(driver)]]),
    lookAgainMs: 20,
    stepMsMax: 60_000,
    wantOf: () => wantOf('lamp', ['a']),
    onView: () => undefined,
    onFailure: () => undefined,
    clock: () => Math.round(performance.now()),
    spent: () => 0,
    chance: () => 0,
  });
  await loop.run(ending.signal);
  expect(stopped).toEqual([true]);
});
