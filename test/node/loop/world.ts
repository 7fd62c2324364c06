import type { Difference } from '../../../src/lib/driver.ts';
import { type Graph, graphOf, itemOf, type Key, keyOf } from '../../../src/node/loop/graph.ts';
import {
  forget,
  GONE,
  type Memory,
  type Outcome,
  remember,
} from '../../../src/node/loop/memory.ts';
import { plan } from '../../../src/node/loop/plan.ts';
import { type Found, stepId, type WorkStep } from '../../../src/node/loop/step.ts';

export const KINDS = ['ground', 'wall', 'room', 'lamp'] as const;

export type Thing = { value: number; uses: readonly Key[] };
export type WorldWish = { kind: string; id: string; value: number; deps: readonly Key[] };

/** A machine in memory that keeps the rules of a real one, and prints itself as text. */
export class World {
  readonly ours = new Map<Key, Thing>();
  readonly foreign = new Map<Key, Thing>();
  /** Steps that fail, by `stepId`, and how often still. */
  readonly curses = new Map<string, number>();
  memory: Memory = new Map();
  nowMs = 1_000_000;
  readonly told: string[] = [];

  observe(want: Graph): Map<Key, Found> {
    const found = new Map<Key, Found>();
    for (const [key, thing] of this.ours) {
      const [kind = '', id = ''] = key.split(' ');
      const item = want.items.get(key);
      const difference = item === undefined ? null : differenceOf(item.spec as WorldWish, thing);
      found.set(key, { kind, id, difference, uses: thing.uses });
    }
    return found;
  }

  plan(want: Graph): ReturnType<typeof plan> {
    const have = { found: this.observe(want), unseen: new Map(), busy: new Map() };
    this.memory = forget(this.memory, { want, have, nowMs: this.nowMs });
    return plan({ want, have, memory: this.memory, nowMs: this.nowMs });
  }

  /** One plan carried out; says how many steps were tried. */
  pass(want: Graph): number {
    const steps = this.plan(want).filter((step) => step.do !== 'wait');
    const failed = new Set<string>();
    const outcomes: Outcome[] = [];
    for (const step of steps) {
      if (step.after.some((id) => failed.has(id))) {
        failed.add(stepId(step));
        continue;
      }
      const failure = this.apply(step, want);
      if (failure !== null) failed.add(stepId(step));
      const key = keyOf(step);
      const digest = step.do === 'remove' ? GONE : (want.items.get(key)?.digest ?? '');
      outcomes.push({ key, digest, failure, atMs: this.nowMs });
    }
    this.memory = remember(this.memory, outcomes, () => 0.5);
    return outcomes.length;
  }

  /** Throws when a step breaks a rule of the machine; returns why it failed when it is cursed. */
  apply(step: WorkStep, want: Graph): string | null {
    const key = keyOf(step);
    this.told.push(stepId(step));
    if (this.foreign.has(key)) throw new Error(`${stepId(step)} touches what is not ours`);
    const curse = this.curses.get(stepId(step)) ?? 0;
    if (curse > 0) {
      this.curses.set(stepId(step), curse - 1);
      return 'cursed';
    }
    if (step.do === 'remove' || step.do === 'replace') {
      const user = [...this.ours].find(([, thing]) => thing.uses.includes(key));
      if (user !== undefined) throw new Error(`${stepId(step)} while ${user[0]} uses it`);
      if (!this.ours.delete(key)) throw new Error(`${stepId(step)}: it is not there`);
    }
    if (step.do === 'remove') return null;
    if (step.do === 'create' && this.ours.has(key)) throw new Error(`${stepId(step)}: is there`);
    const wish = want.items.get(key)?.spec as WorldWish;
    for (const dep of wish.deps) {
      if (KINDS.some((kind) => dep.startsWith(`${kind} `)) && !this.ours.has(dep)) {
        throw new Error(`${stepId(step)} without ${dep}`);
      }
    }
    const uses = wish.deps.filter((dep) => !dep.startsWith('fact '));
    this.ours.set(key, { value: wish.value, uses });
    return null;
  }

  /** Passes until nothing is to be done, time running on to the end of each wait. */
  settle(want: Graph, passesMax: number): number {
    for (let passes = 0; passes < passesMax; passes += 1) {
      if (this.pass(want) === 0) {
        const waits = this.plan(want).flatMap((step) =>
          step.do === 'wait' && step.because === 'back-off' ? [step.untilMs ?? Infinity] : [],
        );
        const nextMs = Math.min(...waits);
        if (nextMs === Infinity) return passes;
        this.nowMs = Math.max(this.nowMs, nextMs);
      }
    }
    return passesMax;
  }

  print(): string {
    const lines = [...this.ours].map(
      ([key, { value, uses }]) => `${key} = ${value} on ${uses.join()}`,
    );
    return lines.sort().join('\n');
  }
}

function differenceOf(wish: WorldWish, thing: Thing): Difference {
  const uses = wish.deps.filter((dep) => !dep.startsWith('fact '));
  if (uses.join() !== thing.uses.join()) return { change: 'replace', because: 'other ground' };
  if (wish.value === thing.value) return { change: 'none', because: '' };
  const change = (wish.value + thing.value) % 2 === 0 ? 'update' : 'replace';
  return { change, because: `${thing.value} is not ${wish.value}` };
}

export type FactWish = { id: string; isMet: boolean };

/** The graph of such wishes. */
export function worldGraph(wishes: readonly WorldWish[], facts: readonly FactWish[]): Graph {
  return graphOf({
    kinds: KINDS,
    items: wishes.map((wish) => itemOf({ ...wish, spec: wish })),
    facts: facts.map(({ id, isMet }) => ({ key: `fact ${id}`, isMet, because: '62 of 140' })),
  });
}
