import { readFile, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { type Start, startSchema, STARTS_MAX } from '../../contract/start.ts';
import { writeDurably } from '../../host/files.ts';
import { STATUS_DISK, STATUS_GROWN, STATUS_SWITCH } from './supervisor.ts';

type Reason = Pick<Start, 'reason' | 'detail'>;

/** How PID 1 says that its agent ended, in words for people. */
export function sentenceOfEnd(end: string): string {
  const [word = '', number = ''] = end.split(' ');
  if (word === 'signal') return `it ended by signal ${number}`;
  if (word === 'status') return `it ended with status ${number}`;
  if (word === 'unhealthy') return `the directory did not hear from it within ${number} s`;
  return SENTENCES[end] ?? `it ended: ${end}`;
}

const SENTENCES: Readonly<Record<string, string>> = {
  memory: 'it took more memory than it may have',
  hung: 'it did not get on with its work for 60 s',
  unmountable: 'its image could not be mounted',
  unstarted: 'it could not be started',
};

/** Why an agent starts that is not the first of this boot; pure. */
export function agentReason(end: string, back?: string, why?: string): Reason {
  if (back !== undefined) {
    return { reason: 'update-back', detail: `the newer system was left: ${sentenceOfEnd(back)}` };
  }
  if (end === `status ${STATUS_SWITCH}`) return { reason: 'update', detail: '' };
  if (end === `status ${STATUS_DISK}`) {
    return { reason: 'disk', detail: 'its data disks changed: one failed, or one was taken' };
  }
  // A loop that stood still, and got on before it was ended for something else, is no reason.
  const isSaid = end === 'hung' || end === `status ${STATUS_GROWN}` || end === 'status 1';
  if (isSaid && why !== undefined) return { reason: 'agent-crash', detail: why };
  return { reason: 'agent-crash', detail: sentenceOfEnd(end) };
}

/** What is known of how the machine went down. */
export type Downfall = {
  /** The kernel's last words, where it kept them. */
  readonly panic: string | undefined;
  readonly hasWatchdogBitten: boolean;
  readonly mark: RestartMark | undefined;
};

/** Why the machine starts; what can't be known is that somebody pulled the plug; pure. */
export function bootReason({ panic, hasWatchdogBitten, mark }: Downfall): Reason {
  if (panic !== undefined) return { reason: 'panic', detail: panic.slice(0, 300) };
  if (hasWatchdogBitten) {
    return { reason: 'watchdog', detail: 'the machine hung, and its watchdog restarted it' };
  }
  return mark ?? { reason: 'power', detail: '' };
}

const markSchema = z.strictObject({
  reason: z.enum(['requested', 'update']),
  detail: z.string().max(300),
});
/** Left on the data disk by an agent that knows that the machine is going down. */
export type RestartMark = z.infer<typeof markSchema>;

/** Leaves the mark, unless there is one: what was first is why. */
export async function leaveMark(folder: string, mark: RestartMark): Promise<void> {
  const path = `${folder}/restart.json`;
  if ((await readMark(path)) !== undefined) return;
  await writeDurably({ path, bytes: JSON.stringify(mark) });
}

/** Takes the mark away: it is about one start. Who can write it can only lie about a reason. */
export async function takeMark(folder: string): Promise<RestartMark | undefined> {
  const path = `${folder}/restart.json`;
  const mark = await readMark(path);
  await rm(path, { force: true });
  return mark;
}

async function readMark(path: string): Promise<RestartMark | undefined> {
  try {
    return markSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Adds a start to those of this boot, and returns the newest of them. */
export async function addStart(path: string, start: Start): Promise<readonly Start[]> {
  const starts = [...(await readStarts(path)), start].slice(-STARTS_MAX);
  await writeFile(path, JSON.stringify(starts), { mode: 0o600 });
  return starts;
}

async function readStarts(path: string): Promise<Start[]> {
  try {
    return z.array(startSchema).parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return [];
  }
}
