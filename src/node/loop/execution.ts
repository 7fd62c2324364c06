import { sentenceOf } from '../../lib/errors.ts';
import { withDeadline } from './deadline.ts';
import { openGate } from './gate.ts';
import { type Graph, type Key, keyOf } from './graph.ts';
import { GONE, type Outcome } from './memory.ts';
import type { Drivers, Sight } from './observation.ts';
import { stepId, type WorkStep } from './step.ts';

export type Execution = {
  readonly steps: readonly WorkStep[];
  readonly want: Graph;
  readonly sight: Sight;
  readonly drivers: Drivers;
  /** What steps are at work on, or will be, with what it needs; it adds here and takes away. */
  readonly busy: Map<Key, readonly Key[]>;
  readonly deadlineMs: number;
  readonly stepsAtOnce: number;
  readonly clock: () => number;
  readonly signal: AbortSignal;
  /** Told whenever a step ended, however it did: before the thing counts as free again. */
  readonly onOutcome: (outcome: Outcome) => void;
};

/**
 * Carries out the steps of a plan, independent ones side by side, each within its deadline. A step
 * whose forerunner failed is left out: the next plan says why. Never throws for a step. Ends when
 * every step has its outcome; work that overran its deadline keeps its thing busy until it ends.
 */
export async function execute(execution: Execution): Promise<void> {
  const { steps, signal, stepsAtOnce } = execution;
  const gate = openGate(stepsAtOnce);
  const hold = openHold(execution);
  const endings = new Map<string, Promise<boolean>>();
  for (const step of steps) {
    // A plan names forerunners before those who come after them, so their endings are known.
    const before = step.after.map(async (id) => endings.get(id) ?? false);
    const ending = (async () => {
      const isFree = (await Promise.all(before)).every(Boolean);
      if (isFree && !signal.aborted) return gate(async () => carryOut(step, execution, hold));
      hold.release(step);
      return false;
    })();
    endings.set(stepId(step), ending);
  }
  await Promise.all(endings.values());
}

type Hold = { readonly release: (step: WorkStep) => void };

/** From the plan on, not from when its turn comes, no other plan touches what a step is for. */
function openHold({ steps, want, busy }: Execution): Hold {
  const left = new Map<Key, number>();
  for (const step of steps) {
    const key = keyOf(step);
    left.set(key, (left.get(key) ?? 0) + 1);
    busy.set(key, want.items.get(key)?.deps ?? []);
  }
  return {
    release: (step) => {
      const key = keyOf(step);
      const others = (left.get(key) ?? 1) - 1;
      left.set(key, others);
      if (others === 0) busy.delete(key);
    },
  };
}

async function carryOut(step: WorkStep, execution: Execution, hold: Hold): Promise<boolean> {
  const { want, clock, onOutcome } = execution;
  const key = keyOf(step);
  const digest = step.do === 'remove' ? GONE : (want.items.get(key)?.digest ?? GONE);
  const { result, ended } = withDeadline(async (signal) => act(step, execution, signal), execution);
  const failure = await result.then(() => null, sentenceOf);
  // Told to stop, it failed at nothing.
  if (!execution.signal.aborted) onOutcome({ key, digest, failure, atMs: clock() });
  void ended.then(() => hold.release(step));
  return failure === null;
}

async function act(step: WorkStep, { want, sight, drivers }: Execution, signal: AbortSignal) {
  const key = keyOf(step);
  const driver = drivers.get(step.kind);
  const spec = want.items.get(key)?.spec;
  const have = sight.things.get(key)?.have;
  if (driver === undefined) return;
  switch (step.do) {
    case 'create':
      await driver.create(spec, signal);
      return;
    case 'update':
      await driver.update(spec, have, signal);
      return;
    case 'replace':
      await driver.remove(step.id, have, signal);
      await driver.create(spec, signal);
      return;
    case 'remove':
      await driver.remove(step.id, have, signal);
      return;
    default:
      step.do satisfies never;
  }
}
