import { SECOND_MS } from '../../lib/units.ts';
import { execute, type Execution } from './execution.ts';
import { type Graph, type Key, kindOf } from './graph.ts';
import { forget, type Memory, type Outcome, remember } from './memory.ts';
import { type Drivers, haveOf, lookAround, NO_SIGHT, type Sight } from './observation.ts';
import { plan } from './plan.ts';
import type { Have, Step } from './step.ts';

const OBSERVE_MS_MAX = 20 * SECOND_MS;
const STEPS_AT_ONCE = 8;

/** One look at the machine and what follows from it. */
export type View = {
  readonly want: Graph;
  readonly have: Have;
  readonly sight: Sight;
  readonly steps: readonly Step[];
};

export type LoopParts = {
  readonly drivers: Drivers;
  /** The machine is looked at so often even when nobody says that something changed; see `rest`. */
  readonly lookAgainMs: number;
  /** How long one step may take. */
  readonly stepMsMax: number;
  /** What is wanted, which may lean on what is there (a port that the kernel chose). */
  readonly wantOf: (sight: Sight) => Graph;
  /** Told after every look, before its steps are carried out. */
  readonly onView: (view: View) => void;
  readonly onFailure: (key: Key, sentence: string) => void;
  /** The loop got on: what it is at now, and until when at the latest. */
  readonly onMove?: (what: string, latestMs: number) => void;
  /** Time that only runs forward, whatever the machine's clock is set to. */
  readonly clock: () => number;
  /** Milliseconds of processor time that this process took. */
  readonly spent: () => number;
  readonly chance: () => number;
};

export type Loop = {
  /** Says that something changed; many calls make one pass. */
  readonly wake: () => void;
  /** Runs until the signal fires; steps under way are told to stop, what runs is left alone. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/**
 * The agent's one loop: observe, plan, apply, observe again; one pass at a time. Steps run beside
 * it: what hangs holds up what needs it, and nothing that comes later. The whole machine is looked
 * at every `lookAgainMs`; in between only what was worked on and what a driver heard of, for nobody
 * else works here.
 */
export function openLoop(parts: LoopParts): Loop {
  const loop = new OwnLoop(parts);
  return { wake: loop.wake, run: async (signal) => loop.run(signal) };
}

class OwnLoop {
  readonly #parts: LoopParts;
  #memory: Memory = new Map();
  #sight = NO_SIGHT;
  #stale: ReadonlySet<string>;
  readonly #busy = new Map<Key, readonly Key[]>();
  readonly #flights = new Set<Promise<void>>();
  #alarm = Promise.withResolvers<void>();
  readonly wake = (): void => this.#alarm.resolve();
  readonly #bell = openBell(this.wake);

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#stale = new Set(parts.drivers.keys());
  }

  async run(signal: AbortSignal): Promise<void> {
    const { drivers, clock, spent, lookAgainMs, onMove } = this.#parts;
    signal.addEventListener('abort', this.wake, { once: true });
    for (const { kind, listen } of drivers.values()) listen?.(() => this.#doubt(kind));
    let wholeLookMs = clock();
    while (!signal.aborted) {
      this.#alarm = Promise.withResolvers<void>();
      const isWhole = clock() >= wholeLookMs;
      if (isWhole) this.#stale = new Set(drivers.keys());
      const before = spent();
      const soonMs = await this.#pass(signal);
      if (isWhole) wholeLookMs = clock() + rest(lookAgainMs, spent() - before);
      const nextMs = Math.min(soonMs, wholeLookMs);
      onMove?.('resting', nextMs);
      const timer = setTimeout(this.wake, Math.max(0, nextMs - clock()));
      if (!signal.aborted) await this.#alarm.promise;
      clearTimeout(timer);
    }
    this.#bell.close();
    await Promise.all(this.#flights);
  }

  /** Begins what is to be done; returns when time alone asks for another pass. */
  async #pass(signal: AbortSignal): Promise<number> {
    const { clock, drivers, wantOf, onMove, onView } = this.#parts;
    onMove?.('looking at the machine', clock() + OBSERVE_MS_MAX);
    // What ends while the machine is looked at is looked at again, and left alone until then.
    const underWay = new Map(this.#busy);
    const look = { kinds: this.#stale, last: this.#sight, deadlineMs: OBSERVE_MS_MAX, signal };
    this.#stale = new Set();
    const sight = await lookAround(drivers, look);
    this.#sight = sight;
    if (signal.aborted) return clock();
    // What could not be read is read again in the next pass.
    this.#stale = this.#stale.union(new Set(sight.unseen.keys()));
    const want = wantOf(sight);
    const have = haveOf(sight, want, { drivers, busy: new Map([...underWay, ...this.#busy]) });
    const nowMs = clock();
    this.#memory = forget(this.#memory, { want, have, nowMs });
    const steps = plan({ want, have, memory: this.#memory, nowMs });
    onView({ want, have, sight, steps });
    this.#begin({ want, sight, signal }, steps);
    return nextPassMs(steps);
  }

  #begin(seen: Pick<Execution, 'want' | 'sight' | 'signal'>, steps: readonly Step[]): void {
    const { drivers, clock, stepMsMax } = this.#parts;
    const work = steps.filter((step) => step.do !== 'wait');
    if (work.length === 0) return;
    const flying = execute({
      ...seen,
      drivers,
      clock,
      busy: this.#busy,
      steps: work,
      stepsAtOnce: STEPS_AT_ONCE,
      deadlineMs: stepMsMax,
      onOutcome: (outcome) => this.#take(outcome),
    });
    const flight = flying.finally(() => {
      this.#flights.delete(flight);
      this.wake();
    });
    this.#flights.add(flight);
  }

  /** What was done is believed when it is seen. Every try has its back-off, so this ends. */
  #take(outcome: Outcome): void {
    const { chance, onFailure } = this.#parts;
    this.#memory = remember(this.#memory, [outcome], chance);
    if (outcome.failure !== null) onFailure(outcome.key, outcome.failure);
    this.#doubt(kindOf(outcome.key));
  }

  #doubt(kind: string): void {
    this.#stale = new Set([...this.#stale, kind]);
    this.#bell.ringSoon();
  }
}

/** Many steps end one upon the other: the machine is not looked at for each. */
const SETTLE_MS = 250;

function openBell(ring: () => void): { readonly ringSoon: () => void; readonly close: () => void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    ringSoon: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        ring();
      }, SETTLE_MS);
    },
    close: () => clearTimeout(timer),
  };
}

/** Of a processor, looks at a machine where nothing happens take so much at most, */
const LOOKS_SHARE = 0.005;
/** unless they would come so much later: what nobody tells of is seen by a look alone. */
const LOOKS_LATER_MAX = 2;

/** How long to rest after a look that took so much processor time. */
function rest(lookAgainMs: number, tookMs: number): number {
  return Math.min(Math.max(lookAgainMs, tookMs / LOOKS_SHARE), LOOKS_LATER_MAX * lookAgainMs);
}

function nextPassMs(steps: readonly Step[]): number {
  const ends = steps.flatMap((step) =>
    step.do === 'wait' && step.untilMs !== undefined ? [step.untilMs] : [],
  );
  return Math.min(Infinity, ...ends);
}
