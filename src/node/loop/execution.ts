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
  /** Keys that a step is still at work on; the execution adds to it and takes away. */
  readonly busy: Set<Key>;
  readonly deadlineMs: number;
  readonly stepsAtOnce: number;
  readonly clock: () => number;
  readonly signal: AbortSignal;
};

/**
 * Carries out the steps of a plan, independent ones side by side, each within its deadline. A step
 * whose forerunner failed is left out: the next plan says why. Never throws for a step.
 */
export async function execute(execution: Execution): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const gate = openGate(execution.stepsAtOnce);
  const endings = new Map<string, Promise<boolean>>();
  for (const step of execution.steps) {
    // A plan names forerunners before those who come after them, so their endings are known.
    const before = step.after.map(async (id) => endings.get(id) ?? false);
    const ending = (async () => {
      const isFree = (await Promise.all(before)).every(Boolean);
      if (!isFree || execution.signal.aborted) return false;
      const outcome = await gate(async () => carryOut(step, execution));
      outcomes.push(outcome);
      return outcome.failure === null;
    })();
    endings.set(stepId(step), ending);
  }
  await Promise.all(endings.values());
  return outcomes;
}

async function carryOut(step: WorkStep, execution: Execution): Promise<Outcome> {
  const { want, busy, clock } = execution;
  const key = keyOf(step);
  const digest = step.do === 'remove' ? GONE : (want.items.get(key)?.digest ?? GONE);
  const { result, ended } = withDeadline(async (signal) => act(step, execution, signal), execution);
  busy.add(key);
  void ended.then(() => busy.delete(key));
  try {
    await result;
    return { key, digest, failure: null, atMs: clock() };
  } catch (error) {
    return { key, digest, failure: sentenceOf(error), atMs: clock() };
  }
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
