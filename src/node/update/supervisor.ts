import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { setInterval, setTimeout as pause } from 'node:timers/promises';
import { readText } from '../../host/files.ts';
import { isMountPoint } from '../../host/mount.ts';
import { MiB, SECOND_MS } from '../../lib/units.ts';

/** With this exit status the agent asks PID 1 to go to the other system (image/init/agent.c). */
export const STATUS_SWITCH = 64;

/** PID 1 ends an agent that did not get on with its work for a minute. */
const ALIVE_MS = 5 * SECOND_MS;
const LINE_BYTES_MAX = 100;
/** Where PID 1 mounts the system that does not run. */
const OTHER_PATH = '/other';
const PREPARE_MS = 200;
const PREPARE_TRIES = 25;

/**
 * The agent's side of what it has with PID 1: files at fixed paths. Who can write them can have the
 * agent restarted, and go to a system that was verified; only root on the node can.
 */
export type Supervisor = {
  /** Says every few seconds that the agent gets on with its work, until the signal fires. */
  readonly keepAlive: (signal: AbortSignal) => Promise<void>;
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

/** Opens it over PID 1's folder for the agent, and the one of the boot program's files. */
export function openSupervisor({ agent, boot }: SupervisorPaths): Supervisor {
  const otherFolder = `${boot}/other`;
  return {
    otherFolder,
    keepAlive: async (signal) => {
      const path = `${agent}/alive`;
      await mkdir(agent, { recursive: true, mode: 0o700 });
      await writeFile(path, '');
      const touch = async (): Promise<void> => {
        // Whatever the clock says: another time than before is what counts.
        const seconds = performance.timeOrigin / SECOND_MS + performance.now() / SECOND_MS;
        await utimes(path, seconds, seconds);
      };
      try {
        for await (const _ of setInterval(ALIVE_MS, undefined, { signal })) await touch();
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

async function readThrough(path: string, signal: AbortSignal): Promise<void> {
  const file = createReadStream(path, { highWaterMark: MiB, signal });
  for await (const _ of file) continue;
}
