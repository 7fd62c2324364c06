import type { AgentParts } from '../agent.ts';
import type { BootFiles } from '../bringup/boot-files.ts';
import type { Self } from '../bringup/identity.ts';
import { openCrashStore } from './crash.ts';
import { isCard, listLinks } from '../../host/net/ip.ts';
import { switchMachineOff } from '../../host/reset/restart.ts';
import { armCards, callCards } from '../../host/reset/wake.ts';
import { readOwnUse } from '../../host/usage/process.ts';
import { leaveMark } from '../update/starts.ts';
import { STATUS_GROWN, type Supervisor } from '../update/supervisor.ts';
import { type LifeParts, openLife } from './life.ts';
import type { PowerDoors } from './power.ts';
import type { Progress } from './progress.ts';
import { type SelfWatch, watchSelf } from './self-watch.ts';
import type { Troubles } from './troubles.ts';

export type HealthParts = Omit<LifeParts, 'record'> &
  Pick<AgentParts, 'troubles' | 'progress'> & {
    readonly boot: BootFiles;
    readonly self: Self;
    /** What the data disk keeps of this node, or without one this boot. */
    readonly folder: string;
  };

/** What the node knows of how it is, and of how it was. */
export async function openHealth(
  parts: HealthParts,
): Promise<Pick<AgentParts, 'troubles' | 'progress' | 'crashes' | 'life' | 'power'>> {
  const { troubles, progress, boot, update } = parts;
  const crashes = openCrashStore(parts.folder, parts.self);
  if (update.crash !== undefined) await crashes.keep(update.crash);
  const life = openLife({ ...parts, record: boot.record });
  return { troubles, progress, crashes, life, power: powerDoors(parts) };
}

type Watched = Omit<SelfWatch, 'read' | 'end' | 'troubles'> & {
  readonly supervisor: Supervisor;
  readonly progress: Progress;
  readonly troubles: Troubles;
  readonly end: (status: number) => void;
};

/** Has the agent ended when its loop stands still, or when it takes too much of the machine. */
export async function watchOver(watched: Watched, signal: AbortSignal): Promise<void> {
  const { supervisor, end } = watched;
  const grown = async (sentence: string): Promise<void> => {
    await supervisor.leaveWhy(sentence);
    end(STATUS_GROWN);
  };
  await Promise.all([
    supervisor.keepAlive(watched, signal),
    watchSelf({ ...watched, read: readOwnUse, end: grown }, signal),
  ]);
}

function powerDoors({ folder, supervisor, sinceKernelStartMs }: HealthParts): PowerDoors {
  return {
    sinceKernelStartMs,
    isOnTrial: supervisor.isOnTrial,
    callCards,
    armCards: async () => {
      const cards = (await listLinks()).filter(isCard);
      return armCards(cards.map(({ name }) => name));
    },
    switchOff: async () => {
      await leaveMark(folder, { reason: 'requested', detail: 'its farmer had put it to sleep' });
      switchMachineOff();
    },
  };
}
