import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Graph, type Key, keyOf } from '../../../src/node/loop/graph.ts';
import { type Step, stepId, type WorkStep } from '../../../src/node/loop/step.ts';
import { plan } from '../../../src/node/loop/plan.ts';
import { KINDS, World, worldGraph, type WorldWish } from './world.ts';

// Plans are made while steps of earlier plans are still under way: the loop waits for none of them.

const MET = [{ id: 'clock', isMet: true }];

const wishes = fc
  .array(
    fc.record({
      rank: fc.nat(KINDS.length - 1),
      id: fc.nat(2),
      value: fc.nat(3),
      picks: fc.array(fc.nat(40), { maxLength: 3 }),
    }),
    { maxLength: 9 },
  )
  .map((drafts): WorldWish[] => {
    const unique = new Map(drafts.map((draft) => [`${draft.rank} ${draft.id}`, draft]));
    const all = [...unique.values()].toSorted((a, b) => a.rank - b.rank);
    return all.map(({ rank, id, value, picks }) => {
      const grounds = all.filter((other) => other.rank < rank);
      const deps = picks.flatMap((pick) => {
        const ground = grounds[pick % Math.max(1, grounds.length)];
        return ground === undefined ? [] : [`${KINDS[ground.rank] ?? ''} ${ground.id}`];
      });
      return { kind: KINDS[rank] ?? '', id: String(id), value, deps: [...new Set(deps)].sort() };
    });
  });

type Flight = { readonly step: WorkStep; readonly want: Graph; readonly fleet: Set<string> };

/** A world whose steps take their time, and end in any order that their plan allows. */
class SlowWorld {
  readonly world = new World();
  readonly flights: Flight[] = [];
  /** Began, and not ended. */
  readonly begun = new Map<Flight, readonly Key[]>();

  busy(): Map<Key, readonly Key[]> {
    return new Map(
      this.flights.map(({ step, want }) => [keyOf(step), want.items.get(keyOf(step))?.deps ?? []]),
    );
  }

  steps(want: Graph): readonly Step[] {
    const have = { found: this.world.observe(want), unseen: new Map(), busy: this.busy() };
    return plan({ want, have, memory: new Map(), nowMs: 0 });
  }

  launch(want: Graph): void {
    const work = this.steps(want).filter((step) => step.do !== 'wait');
    const fleet = new Set(work.map(stepId));
    for (const step of work) this.flights.push({ step, want, fleet });
  }

  /** Those whose forerunners have ended. */
  ready(): Flight[] {
    return this.flights.filter(
      (flight) => !this.begun.has(flight) && !flight.step.after.some((id) => flight.fleet.has(id)),
    );
  }

  /** Throws when what it stands on, or what stands on it, is being changed by another step. */
  begin(flight: Flight): void {
    const key = keyOf(flight.step);
    const wanted = flight.want.items.get(key)?.deps ?? [];
    // Taking a thing away needs what it stands on now; what it will stand on, it has no need of.
    const had = this.world.ours.get(key)?.uses ?? [];
    const needs = { remove: had, replace: [...had, ...wanted], create: wanted, update: wanted }[
      flight.step.do
    ];
    for (const [other, otherNeeds] of this.begun) {
      const otherKey = keyOf(other.step);
      const told = `${stepId(flight.step)} while ${stepId(other.step)}`;
      if (otherKey === key) throw new Error(`two writers: ${told}`);
      const isGoing = isEnding(other.step) && flight.step.do !== 'remove';
      if (isGoing && needs.includes(otherKey)) throw new Error(`no ground: ${told}`);
      if (isEnding(flight.step) && otherNeeds.includes(key)) throw new Error(`in use: ${told}`);
    }
    this.begun.set(flight, needs);
  }

  end(flight: Flight): void {
    this.world.apply(flight.step, flight.want);
    this.begun.delete(flight);
    this.flights.splice(this.flights.indexOf(flight), 1);
    flight.fleet.delete(stepId(flight.step));
  }

  /** Everything that flies ends, in this order of chance. */
  drain(chance: () => number): void {
    while (this.flights.length > 0) {
      for (const flight of this.ready()) this.begin(flight);
      const open = [...this.begun.keys()];
      const flight = open[chance() % Math.max(1, open.length)];
      if (flight === undefined) throw new Error('steps wait for each other');
      this.end(flight);
    }
  }
}

function isEnding({ do: doing }: WorkStep): boolean {
  return doing === 'remove' || doing === 'replace';
}

test('plans made while steps are under way give no thing two writers and take no ground', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ wishes, chances: fc.array(fc.nat(20), { maxLength: 12 }) }), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.array(fc.nat(20), { maxLength: 40 }),
      (turns, last) => {
        const slow = new SlowWorld();
        let want = worldGraph([], MET);
        for (const turn of turns) {
          want = worldGraph(turn.wishes, MET);
          slow.launch(want);
          for (const chance of turn.chances) {
            const ready = slow.ready();
            const open = [...slow.begun.keys()];
            const pick = chance % Math.max(1, ready.length + open.length);
            const beginning = ready[pick];
            const ending = open[pick - ready.length];
            if (beginning !== undefined) slow.begin(beginning);
            else if (ending !== undefined) slow.end(ending);
          }
        }
        let at = 0;
        const chance = (): number => last[(at += 1) % Math.max(1, last.length)] ?? 0;
        for (let round = 0; round < 6; round += 1) {
          slow.drain(chance);
          slow.launch(want);
        }
        // Whatever was under way when the last wish came, it is reached, and nothing is left to do.
        expect(slow.flights).toEqual([]);
        expect(slow.steps(want)).toEqual([]);
      },
    ),
    { numRuns: 1000 },
  );
});
