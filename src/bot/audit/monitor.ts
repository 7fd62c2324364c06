import { setTimeout as sleep } from 'node:timers/promises';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { paint } from '../../lib/colour.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { Policy } from '../../record/policy.ts';
import { RecordError } from '../../record/tree.ts';
import { BotError } from '../errors.ts';
import { type Grid, listNodes, openGrid } from '../grid.ts';
import { readConfig } from '../store.ts';
import { openProgress, plain, type Progress } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { type Audit, followRecord, type Followed } from './audit.ts';
import { openRecord } from '../record/fetch.ts';
import { AuditError } from './growth.ts';
import { nameAlarms } from './names.ts';
import { type Alarm, doubtAlarms, heardOf, nodeAlarms } from './nodes.ts';
import { policyOfFile, recordPolicy } from '../record/policy.ts';
import { openAuditStore } from './store.ts';

const LOOK_EVERY_MS = 2 * SECOND_MS;

export type AuditWish = {
  /** Goes on until Ctrl-C or the first alarm. */
  readonly isFollowed: boolean;
  /** A policy that somebody trusted gave, in the place of the one that was pinned. */
  readonly policyPath: string | undefined;
};

/** What one look at the whole record found. */
type Look = {
  readonly followed: Followed | undefined;
  readonly nodes: number;
  readonly alarms: readonly Alarm[];
};

/**
 * `zos record audit`: checks everything that a directory shows of its record, from where it was
 * left last time. Throws `BotError` `RECORD_UNSOUND` after having told each alarm.
 */
export async function auditRecord(world: World, wish: AuditWish): Promise<void> {
  const policy = await policyFor(world, wish.policyPath);
  const grid = await openGrid(world);
  const [log] = policy.logs;
  if (log === undefined) throw new BotError('USAGE', 'This policy names no log; use another.');
  using store = openAuditStore(world.home.path, log.key.name);
  using progress = openProgress(world.terminal, world.nowMs, 'reading the record');
  const source = openRecord(grid.url, world.signal);
  const documentOf = async (id: string) => verifyIdentity(await grid.client.identity(id), id);
  const directory = await directoryOf(world, grid);
  const audit: Audit = {
    grid: grid.name,
    directory,
    source,
    policy,
    store,
    documentOf,
    say: progress.say,
  };
  for (let isFirst = true; ; isFirst = false) {
    const look = await lookUnlessBusy(world, { audit, grid, mayWait: wish.isFollowed && !isFirst });
    if (look !== undefined) tell({ world, progress, isFirst }, look);
    if (!wish.isFollowed) return;
    progress.say('waiting for new entries');
    await sleep(LOOK_EVERY_MS, undefined, { signal: world.signal });
  }
}

/** The directory's own identity, the one that this bot pinned. */
async function directoryOf(world: World, { client }: Grid): Promise<Identity> {
  const { directory } = await readConfig(world.home);
  return verifyIdentity((await client.grid()).directory, directory?.identity);
}

async function policyFor(world: World, path: string | undefined): Promise<Policy> {
  return path === undefined ? recordPolicy(world) : policyOfFile(path);
}

type Watch = { readonly audit: Audit; readonly grid: Grid; readonly mayWait: boolean };

/** A directory that is away is no alarm for who follows it: it is asked again. */
async function lookUnlessBusy(world: World, watch: Watch): Promise<Look | undefined> {
  try {
    return await lookAt(world, watch);
  } catch (error) {
    if (!watch.mayWait || !isAway(error) || world.signal.aborted) throw error;
    watch.audit.say(sentenceOf(error));
    return undefined;
  }
}

function isAway(error: unknown): boolean {
  const code = codeOf(error);
  return code.startsWith('HTTP_') || code === 'RECORD_MISSING' || code === 'TOO_MANY_REQUESTS';
}

async function lookAt(world: World, { audit, grid }: Watch): Promise<Look> {
  // The nodes first: what they saw has to be in what is read of the record after them.
  const { known, doubtful } = await listNodes(grid, world.nowMs());
  const heard = heardOf(known);
  const doubts = doubtAlarms(doubtful);
  let followed: Followed;
  try {
    followed = await followRecord(audit);
  } catch (error) {
    if (!(error instanceof RecordError) && !(error instanceof AuditError)) throw error;
    const alarm = { code: error.code, sentence: error.message };
    return { followed: undefined, nodes: heard.length, alarms: [alarm, ...doubts] };
  }
  const { source, store } = audit;
  const { head } = followed.checkpoint;
  const alarms = [...store.faults(), ...doubts];
  alarms.push(...(await nodeAlarms({ source, store, head }, heard)));
  alarms.push(...(await nameAlarms(grid, store.names())));
  return { followed, nodes: heard.length, alarms };
}

type Told = { readonly world: World; readonly progress: Progress; readonly isFirst: boolean };

function tell({ world, progress, isFirst }: Told, look: Look): void {
  const { followed, alarms } = look;
  const isNews = isFirst || alarms.length > 0 || (followed?.added ?? 0) > 0;
  if (!isNews) return;
  progress.clear();
  const { terminal } = world;
  answer(world, valueOf(look), textOf(look));
  for (const { code, sentence } of alarms) {
    terminal.err(`${paint(terminal, 'red', `alarm ${code}:`)} ${plain(sentence)}\n`);
  }
  if (alarms.length === 0) return;
  const sentence = `The record raised ${alarms.length} alarm${alarms.length === 1 ? '' : 's'}.`;
  throw new BotError('RECORD_UNSOUND', `${sentence} Keep this home folder: it is the evidence.`);
}

function valueOf({ followed, nodes, alarms }: Look): unknown {
  const { checkpoint } = followed ?? {};
  return {
    origin: checkpoint?.origin ?? null,
    size: checkpoint?.head.size ?? null,
    root: checkpoint === undefined ? null : Buffer.from(checkpoint.head.root).toString('base64'),
    added: followed?.added ?? 0,
    witnesses: (checkpoint?.cosigned ?? []).map(({ key, timeSeconds }) => ({
      name: key.name,
      atMs: (timeSeconds ?? 0) * SECOND_MS,
    })),
    nodes,
    alarms: alarms.map(({ code, sentence }) => ({ code, sentence })),
  };
}

function textOf({ followed, nodes, alarms }: Look): string {
  if (followed === undefined) return '';
  const { checkpoint, added } = followed;
  const names = checkpoint.cosigned.map(({ key }) => key.name).join(', ') || 'no witness';
  const state = alarms.length === 0 ? 'everything holds' : 'NOT everything holds';
  return (
    `${checkpoint.origin}: ${checkpoint.head.size} entries, ${added} new, seen by ${names}; ` +
    `${state}. ${nodes} node${nodes === 1 ? '' : 's'} compared.\n`
  );
}
