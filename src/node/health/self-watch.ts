import type { OwnUse } from '../../host/usage/process.ts';
import { judgeGrowth, LOOK_MS, NO_GROWTH, withLook } from './growth.ts';
import type { Troubles } from './troubles.ts';

export type SelfWatch = {
  readonly read: () => Promise<OwnUse>;
  readonly troubles: Pick<Troubles, 'set'>;
  readonly steady: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Ends the agent, which PID 1 starts anew; the sentence says why. */
  readonly end: (sentence: string) => Promise<void>;
};

/** Looks at what the agent itself takes, and ends it before it dies of that. */
export async function watchSelf(watch: SelfWatch, signal: AbortSignal): Promise<void> {
  const { troubles, steady, sleep } = watch;
  for (let growth = NO_GROWTH; !signal.aborted;) {
    await sleep(LOOK_MS, signal);
    if (signal.aborted) return;
    growth = withLook(growth, await watch.read(), steady());
    const verdict = judgeGrowth(growth);
    const sentence = verdict.is === 'well' ? null : `The agent is not well: ${verdict.sentence}.`;
    troubles.set('AGENT_GROWS', sentence);
    if (verdict.is === 'full') {
      await watch.end(verdict.sentence);
      return;
    }
  }
}
