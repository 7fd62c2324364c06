import type { AgentParts } from '../../../src/node/agent.ts';
import type { Self } from '../../../src/node/bringup/identity.ts';
import { openCrashStore } from '../../../src/node/health/crash.ts';
import { openProgress } from '../../../src/node/health/progress.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';

const NO_POWER: AgentParts['power'] = {
  armCards: async () => false,
  callCards: async () => 0,
  switchOff: async () => undefined,
  isOnTrial: async () => false,
  sinceKernelStartMs: () => 60_000,
};

type Ground = {
  readonly power: AgentParts['power'] | undefined;
  readonly folder: string;
  readonly self: Self;
  readonly lines: string[];
};

/** The agent's health, with a machine whose power nobody may touch unless told. */
export function healthOf(
  ground: Ground,
): Pick<AgentParts, 'power' | 'crashes' | 'progress' | 'troubles'> {
  const { power = NO_POWER, folder, self, lines } = ground;
  const steady = (): number => performance.now();
  return {
    power,
    crashes: openCrashStore(folder, self),
    progress: openProgress(steady),
    troubles: openTroubles({ steady, say: (line) => lines.push(line) }),
  };
}
