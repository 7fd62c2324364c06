import { appendFile, mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { setInterval, setTimeout as pause } from 'node:timers/promises';
import { readText } from '../../host/files.ts';
import { isMountPoint } from '../../host/mount.ts';
import { MiB, SECOND_MS } from '../../lib/units.ts';
import type { Progress } from '../health/progress.ts';
import type { Troubles } from '../health/troubles.ts';

/** With this exit status the agent asks PID 1 to go to the other system (image/init/agent.c). */
export const STATUS_SWITCH = 64;
/** With this one, to be started anew: it took more of the machine than it should. */
export const STATUS_GROWN = 65;
/** With this one it asks to be started again, to open other data disks. */
export const STATUS_DISK = 66;

/** PID 1 ends an agent that did not get on with its work for a minute. */
const ALIVE_MS = 5 * SECOND_MS;
const LINE_BYTES_MAX = 300;
/** Where PID 1 mounts the system that does not run. */
const OTHER_PATH = '/other';
const PREPARE_MS = 200;
const PREPARE_TRIES = 25;

/**
 * The agent's side of what it has with PID 1: files at fixed paths. Who can write them can have the
 * agent restarted, and go to a system that was verified; only root on the node can.
 */
export type Supervisor = {
  /** Says that the agent's loop gets on, if it does. */
  readonly sayAlive: (watched: Watched) => Promise<void>;
  /**
   * Says so every few seconds until the signal fires. While it stands still nothing is said: PID 1
   * ends the agent, and the machine's watchdog ends what can't be ended.
   */
  readonly keepAlive: (watched: Watched, signal: AbortSignal) => Promise<void>;
  /** Says why this agent is about to end, or to be ended. */
  readonly leaveWhy: (sentence: string) => Promise<void>;
  /** What the agent before this one said so, if it did. */
  readonly takeWhy: () => Promise<string | undefined>;
  /** Says that this system is well: the directory took its word. */
  readonly sayHealthy: () => Promise<void>;
  /** How the agent's last run in this boot ended; none at its first. */
  readonly lastEnd: () => Promise<string | undefined>;
  /** Why PID 1 came back from the other system; it is told once. */
  readonly takeBack: () => Promise<string | undefined>;
  /** Where the other system's files go. */
  readonly otherFolder: string;
  /** Has the other system mounted and its agent read, so that the new one starts from memory. */
  readonly prepareOther: (signal: AbortSignal) => Promise<void>;
  /** Whether the system before this one is still there to go back to. */
  readonly isOnTrial: () => Promise<boolean>;
};

export type SupervisorPaths = { readonly agent: string; readonly boot: string };

export type Watched = {
  readonly progress: Pick<Progress, 'stuckAt'>;
  readonly troubles: Pick<Troubles, 'set'>;
};

/** Opens it over PID 1's folder for the agent, and the one of the boot program's files. */
export function openSupervisor({ agent, boot }: SupervisorPaths): Supervisor {
  const otherFolder = `${boot}/other`;
  const leaveWhy = async (sentence: string): Promise<void> =>
    writeFile(`${agent}/why`, sentence.slice(0, LINE_BYTES_MAX));
  let wasStuck = false;
  const sayAlive = async ({ progress, troubles }: Watched): Promise<void> => {
    const stuck = progress.stuckAt();
    const sentence = `The agent is about to be ended: ${stuck}.`;
    troubles.set('LOOP_STUCK', stuck === undefined ? null : sentence);
    if (stuck === undefined) await touch(`${agent}/alive`);
    else await leaveWhy(stuck);
    // It got on after all: whatever ends it later is another reason.
    if (wasStuck && stuck === undefined) await rm(`${agent}/why`, { force: true });
    wasStuck = stuck !== undefined;
  };
  return {
    otherFolder,
    sayAlive,
    keepAlive: async (watched, signal) => {
      await mkdir(agent, { recursive: true, mode: 0o700 });
      try {
        await sayAlive(watched);
        for await (const _ of setInterval(ALIVE_MS, undefined, { signal })) await sayAlive(watched);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    sayHealthy: async () => writeFile(`${agent}/healthy`, ''),
    lastEnd: async () => readText(`${agent}/end`, LINE_BYTES_MAX),
    takeBack: async () => {
      const why = await readText(`${agent}/back`, LINE_BYTES_MAX);
      await rm(`${agent}/back`, { force: true });
      return why;
    },
    leaveWhy,
    takeWhy: async () => {
      const why = await readText(`${agent}/why`, LINE_BYTES_MAX);
      await rm(`${agent}/why`, { force: true });
      return why;
    },
    prepareOther: async (signal) => {
      await writeFile(`${agent}/prepare`, '');
      for (let tries = 0; tries < PREPARE_TRIES && !(await isMountPoint(OTHER_PATH)); tries += 1) {
        await pause(PREPARE_MS, undefined, { signal });
      }
      // Where it can't be mounted, PID 1 says so when it is asked to go there.
      await readThrough(`${OTHER_PATH}/usr/bin/zos-node`, signal).catch(() => undefined);
    },
    isOnTrial: async () => {
      const names: string[] = await readdir(otherFolder).catch(() => []);
      const end = await readText(`${agent}/end`, LINE_BYTES_MAX);
      return names.includes('system.erofs') && end === `status ${STATUS_SWITCH}`;
    },
  };
}

/** Whatever the clock says: another time than before is what counts. */
async function touch(path: string): Promise<void> {
  await appendFile(path, '');
  const seconds = (performance.timeOrigin + performance.now()) / SECOND_MS;
  await utimes(path, seconds, seconds);
}

async function readThrough(path: string, signal: AbortSignal): Promise<void> {
  const file = createReadStream(path, { highWaterMark: MiB, signal });
  for await (const _ of file) continue;
}
