import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf } from '../../../src/node/loop/graph.ts';
import { TRIES_MAX } from '../../../src/node/loop/memory.ts';
import { plan } from '../../../src/node/loop/plan.ts';
import { stepId } from '../../../src/node/loop/step.ts';
import { type FactWish, KINDS, World, worldGraph, type WorldWish } from './world.ts';

const FACTS = ['fact clock', 'fact disk'];

/** Wishes that depend on things of earlier kinds and on facts, as real ones do. */
const wishes = fc
  .array(
    fc.record({
      rank: fc.nat(KINDS.length - 1),
      id: fc.nat(3),
      value: fc.nat(3),
      picks: fc.array(fc.nat(40), { maxLength: 3 }),
      fact: fc.nat(8),
    }),
    { maxLength: 12 },
  )
  .map((drafts): WorldWish[] => {
    const unique = new Map(drafts.map((draft) => [`${draft.rank} ${draft.id}`, draft]));
    const all = [...unique.values()].toSorted((a, b) => a.rank - b.rank);
    return all.map(({ rank, id, value, picks, fact }) => {
      const grounds = all.filter((other) => other.rank < rank);
      const picked = picks.flatMap((pick) => {
        const ground = grounds[pick % Math.max(1, grounds.length)];
        return ground === undefined ? [] : [`${KINDS[ground.rank] ?? ''} ${ground.id}`];
      });
      const deps = [...new Set([...picked, ...FACTS.slice(fact, fact + 1)])].sort();
      return { kind: KINDS[rank] ?? '', id: String(id), value, deps };
    });
  });

const met: FactWish[] = FACTS.map((fact) => ({ id: fact.slice(5), isMet: true }));
const facts = fc.tuple(fc.boolean(), fc.boolean()).map(([clock, disk]): FactWish[] => [
  { id: 'clock', isMet: clock },
  { id: 'disk', isMet: disk },
]);
const scene = fc.record({
  before: wishes,
  after: wishes,
  told: facts,
  picks: fc.array(fc.nat(30)),
});
const RUNS = { numRuns: 1000 };

test('from any world, every wish is reached, and a second plan is empty', () => {
  fc.assert(
    fc.property(wishes, wishes, (before, after) => {
      const world = new World();
      world.settle(worldGraph(before, met), 50);
      const want = worldGraph(after, met);
      expect(world.settle(want, 50)).toBeLessThan(50);
      expect(world.plan(want)).toEqual([]);
      const wanted = after.map(({ kind, id, value }) => `${kind} ${id} ${value}`);
      const had = [...world.ours].map(([key, { value }]) => `${key} ${value}`);
      expect(had.sort()).toEqual(wanted.sort());
    }),
    RUNS,
  );
});

test('one plan is enough when nothing fails', () => {
  fc.assert(
    fc.property(wishes, wishes, (before, after) => {
      const world = new World();
      world.pass(worldGraph(before, met));
      world.nowMs += 3_600_000;
      world.pass(worldGraph(after, met));
      world.nowMs += 3_600_000;
      expect(world.plan(worldGraph(after, met))).toEqual([]);
    }),
    RUNS,
  );
});

test('a plan names every step once, and after steps that stand before it', () => {
  fc.assert(
    fc.property(wishes, wishes, facts, (before, after, told) => {
      const world = new World();
      world.settle(worldGraph(before, met), 50);
      const seen = new Set<string>();
      for (const step of world.plan(worldGraph(after, told))) {
        if (step.do === 'wait') continue;
        expect(seen.has(stepId(step))).toBe(false);
        expect(step.after.filter((id) => !seen.has(id))).toEqual([]);
        seen.add(stepId(step));
      }
    }),
    RUNS,
  );
});

test('what is not ours is never touched', () => {
  fc.assert(
    fc.property(wishes, wishes, (mine, theirs) => {
      const world = new World();
      for (const { kind, id, value } of theirs) {
        world.foreign.set(`${kind}x ${id}`, { value, uses: [] });
      }
      world.settle(worldGraph(mine, met), 50);
      world.settle(worldGraph([], met), 50);
      expect(world.ours.size).toBe(0);
      expect(world.foreign.size).toBe(new Set(theirs.map(keyOf)).size);
    }),
    RUNS,
  );
});

test('what fails holds back what depends on it and nothing else', () => {
  fc.assert(
    fc.property(scene, ({ before, after, told, picks }) => {
      const world = new World();
      world.settle(worldGraph(before, met), 50);
      const had = new Map(world.ours);
      const cursed = new Set(picks.map((pick) => after[pick % Math.max(1, after.length)]));
      for (const wish of cursed) {
        if (wish === undefined) continue;
        for (const doing of ['create', 'update', 'replace']) {
          world.curses.set(`${doing} ${keyOf(wish)}`, Infinity);
        }
      }
      const want = worldGraph(after, told);
      expect(world.settle(want, 400)).toBeLessThan(400);
      const stuck = stuckWishes(after, { told, cursed, had });
      for (const wish of after) {
        if (stuck.has(keyOf(wish))) continue;
        const thing = world.ours.get(keyOf(wish));
        expect(thing?.value, `${keyOf(wish)} in\n${world.print()}`).toBe(wish.value);
      }
    }),
    RUNS,
  );
});

test('what fails a few times comes in the end', () => {
  fc.assert(
    fc.property(wishes, fc.integer({ min: 1, max: TRIES_MAX - 1 }), (after, times) => {
      const world = new World();
      for (const wish of after) world.curses.set(`create ${keyOf(wish)}`, times);
      const want = worldGraph(after, met);
      expect(world.settle(want, 400)).toBeLessThan(400);
      expect(world.ours.size).toBe(after.length);
    }),
    RUNS,
  );
});

test('what always fails is given up, and tried again when the wish changes', () => {
  const world = new World();
  const wish = { kind: 'ground', id: '1', value: 1, deps: [] };
  world.curses.set('create ground 1', Infinity);
  world.settle(worldGraph([wish], met), 400);
  expect(world.told).toHaveLength(TRIES_MAX);
  expect(world.plan(worldGraph([wish], met))).toMatchObject([{ do: 'wait', because: 'gave-up' }]);
  const changed = worldGraph([{ ...wish, value: 2 }], met);
  expect(world.plan(changed)).toMatchObject([{ do: 'create', because: 'missing' }]);
});

test('what starts well and does not stay is slowed down', () => {
  const world = new World();
  const want = worldGraph([{ kind: 'lamp', id: '1', value: 1, deps: [] }], met);
  for (let round = 0; round < TRIES_MAX; round += 1) {
    expect(world.settle(want, 10)).toBeLessThan(10);
    world.ours.clear();
    const until = world.plan(want).flatMap((step) => (step.do === 'wait' ? [step.untilMs] : []));
    expect(until).toHaveLength(1);
    if (round < TRIES_MAX - 1) world.nowMs = until[0] ?? 0;
  }
  expect(world.plan(want)).toMatchObject([{ do: 'wait', because: 'gave-up' }]);
});

type Cause = {
  told: readonly FactWish[];
  cursed: ReadonlySet<WorldWish | undefined>;
  had: ReadonlyMap<string, { uses: readonly string[] }>;
};

/** What can't be reached: cursed, without a fact, on such ground, or under something such. */
function stuckWishes(after: readonly WorldWish[], { told, cursed, had }: Cause): Set<string> {
  const unmet = told.filter(({ isMet }) => !isMet).map(({ id }) => `fact ${id}`);
  const stuck = new Set<string>(unmet);
  const under = new Set<string>();
  for (let size = -1; size < stuck.size;) {
    size = stuck.size;
    for (const [key, { uses }] of had) if (stuck.has(key)) for (const use of uses) under.add(use);
    for (const key of under) if (!after.some((wish) => keyOf(wish) === key)) stuck.add(key);
    for (const wish of after) {
      const isOnStuck = wish.deps.some((dep) => stuck.has(dep));
      if (cursed.has(wish) || isOnStuck || under.has(keyOf(wish))) stuck.add(keyOf(wish));
    }
  }
  return stuck;
}

test('of a kind that can not be read nothing is touched, nor what it may stand on', () => {
  fc.assert(
    fc.property(scene, fc.nat(KINDS.length - 1), ({ before, after }, blind) => {
      const world = new World();
      world.settle(worldGraph(before, met), 50);
      const want = worldGraph(after, met);
      const found = new Map(
        [...world.observe(want)].filter(([, { kind }]) => kind !== KINDS[blind]),
      );
      const have = {
        found,
        unseen: new Map([[KINDS[blind] ?? '', 'no']]),
        busy: new Map(),
      };
      for (const step of plan({ want, have, memory: new Map(), nowMs: world.nowMs })) {
        if (step.do === 'wait') continue;
        const rank = KINDS.findIndex((kind) => kind === step.kind);
        const isUnder = rank <= blind && (step.do === 'remove' || step.do === 'replace');
        expect(isUnder || rank === blind ? stepId(step) : '').toBe('');
      }
    }),
    RUNS,
  );
});

test('what an earlier step is still at work on is left alone', () => {
  fc.assert(
    fc.property(scene, ({ before, after, picks }) => {
      const world = new World();
      world.settle(worldGraph(before, met), 50);
      const want = worldGraph(after, met);
      const all = [...before, ...after].map(keyOf);
      const picked = picks.flatMap((pick) => all[pick % Math.max(1, all.length)] ?? []);
      const busy = new Map(picked.map((key) => [key, want.items.get(key)?.deps ?? []]));
      const have = { found: world.observe(want), unseen: new Map<string, string>(), busy };
      for (const step of plan({ want, have, memory: new Map(), nowMs: world.nowMs })) {
        const isTouched = step.do !== 'wait' && busy.has(keyOf(step));
        expect(isTouched ? stepId(step) : '').toBe('');
      }
    }),
    RUNS,
  );
});
