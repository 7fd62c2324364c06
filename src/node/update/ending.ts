import { setTimeout as pause } from 'node:timers/promises';
import { SECOND_MS } from '../../lib/units.ts';
import { leaveMark } from './starts.ts';

/** So long what is at work has to end by itself. */
const LEAVE_MS = SECOND_MS;

/** How the agent's process ends. */
export type Ending = {
  readonly signal: AbortSignal;
  /** Of the process: what PID 1 goes by. */
  status: number;
  /** Where the next start looks for why this one ended. */
  folder: string | undefined;
  readonly end: (status: number) => void;
  /** What is to be written down before the end. */
  readonly leave: () => Promise<void>;
};

/** How this agent ends: told to by PID 1, which takes the machine down, or by itself. */
export function openEnding(): Ending {
  const controller = new AbortController();
  let isTold = false;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    // Not once: execa, which then finds nobody else who listens, would end the process right away.
    process.on(name, () => {
      isTold = true;
      controller.abort();
    });
  }
  const ending: Ending = {
    signal: controller.signal,
    status: 0,
    folder: undefined,
    end: (status) => {
      ending.status = status;
      controller.abort();
    },
    leave: async () => {
      if (!isTold || ending.folder === undefined) return;
      await leaveMark(ending.folder, { reason: 'requested', detail: 'it was told to go down' });
    },
  };
  return ending;
}

/** What does not end in time is left: whatever it was at, it is done again. */
export async function untilLeft(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const late = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => void pause(LEAVE_MS).then(resolve), { once: true });
  });
  await Promise.race([work, late]);
}
