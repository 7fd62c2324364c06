import { setTimeout as sleep } from 'node:timers/promises';
import { paint } from '../lib/colour.ts';
import { codeOf, sentenceOf } from '../lib/errors.ts';
import { formatDuration, MINUTE_MS } from '../lib/units.ts';
import { BotError } from './errors.ts';
import type { Books, KnownContract } from './grid.ts';
import { openProgress, plain, shortId } from './terminal.ts';
import type { World } from './world.ts';

const ASK_EVERY_MS = 250;
/** A directory that starts again is away for a moment. */
const FAILURES_MAX = 10;
/** No news for this long, and the command stops waiting; what was sent goes on. */
const SILENCE_MS_MAX = 10 * MINUTE_MS;

/** One thing that is followed until it is as it was meant to be. */
type Stage = { readonly subject: string; readonly state: string; readonly because: string };

export type Follow = {
  readonly world: World;
  readonly books: Books;
  readonly startedMs: number;
  /** How the user names what is followed, for what to do next. */
  readonly name: string;
};

/** Writes a line of what just happened and when, to `err`. */
export function tell({ world, startedMs }: Follow, stage: Stage): void {
  const { terminal } = world;
  const at = formatDuration(world.nowMs() - startedMs).padStart(8);
  const state = paint(terminal, COLOURS[stage.state] ?? 'cyan', stage.state.padEnd(10));
  const line = `${paint(terminal, 'dim', at)}  ${state} ${stage.subject}`;
  const because = stage.because === '' ? '' : `: ${plain(stage.because)}`;
  terminal.err(`${line}${because}\n`);
}

const COLOURS: Readonly<Record<string, 'green' | 'red' | 'yellow'>> = {
  running: 'green',
  failed: 'red',
  refused: 'red',
  waiting: 'yellow',
};

/** Follows contracts of these versions until all their containers run; throws `BotError`. */
export async function followRunning(
  follow: Follow,
  wanted: ReadonlyMap<string, number>,
): Promise<void> {
  const told = new Map<string, string>();
  await pollUntil(follow, [...wanted.keys()], (contracts, announce) => {
    const open: Stage[] = [];
    for (const known of contracts) {
      const version = wanted.get(known.contract.id) ?? 1;
      refuseEnded(known, version, follow);
      for (const stage of stagesOf(known, version)) {
        // That it was sent was told when it was.
        const isNews = (told.get(stage.subject) ?? 'sent') !== stage.state;
        if (isNews) announce(stage);
        told.set(stage.subject, stage.state);
        if (stage.state === 'failed') throw failure(stage, follow);
        if (stage.state !== 'running') open.push(stage);
      }
    }
    // A node's own state only repeats what its containers wait for.
    const containers = open.filter(({ subject }) => subject.startsWith('container'));
    return containers.length > 0 ? containers : open;
  });
}

/** Follows contracts until their nodes say that they ended; throws `BotError` on long silence. */
export async function followEnded(follow: Follow, ids: readonly string[]): Promise<void> {
  const told = new Set<string>();
  await pollUntil(follow, ids, (contracts, announce) =>
    contracts.flatMap((known): Stage[] => {
      const { id, node } = known.contract;
      const stage = { subject: `node ${shortId(node)}`, state: 'ended', because: '' };
      if (!hasEnded(known)) return [stage];
      if (!told.has(id)) announce(stage);
      told.add(id);
      return [];
    }),
  );
}

/** Whether nothing of a contract is left: its node said so, or never took it. */
export function hasEnded({ receipt, state, isAwaited, held }: KnownContract): boolean {
  // Without a word of the node: it may have taken it, until the time to say so is over.
  if (receipt === null) return state !== 'reserved' && !isAwaited;
  if (state === 'expired' || receipt.state === 'ended') return true;
  // A later version that was refused leaves the one before it running.
  return receipt.state === 'refused' && held === null;
}

/** How a contract and its workloads stand by the node's own word. */
export function stagesOf({ contract, receipt }: KnownContract, version: number): Stage[] {
  const subject = `node ${shortId(contract.node)}`;
  if (receipt === null || receipt.version < version) {
    return [{ subject, state: 'sent', because: '' }];
  }
  const isRunning = receipt.state === 'running';
  const state = isRunning ? 'running' : receipt.state;
  const stages = receipt.workloads.map((workload) => ({
    subject: `${workload.kind === 'znet' ? 'network' : workload.kind} ${plain(workload.name)}`,
    state: workload.state,
    because: workload.because,
  }));
  // What a network waits for, its containers wait for too; only its failure stands by itself.
  const shown = stages.filter(
    (stage) => stage.subject.startsWith('container') || stage.state === 'failed',
  );
  return [{ subject, state, because: '' }, ...shown];
}

function refuseEnded(known: KnownContract, version: number, { name }: Follow): void {
  const { receipt, state, contract } = known;
  const node = shortId(contract.node);
  if (receipt !== null && receipt.version >= version && receipt.state === 'refused') {
    const { code, sentence } = receipt.refusal ?? { code: 'REFUSED', sentence: '' };
    throw new BotError(
      'CONTRACT_REFUSED',
      `Node ${node} refused its contract: ${plain(sentence)} (${plain(code)})`,
      { facts: { contract: contract.id, code } },
    );
  }
  if (state === 'released' || (known.dropped.has(version) && receipt !== null)) {
    throw new BotError(
      'CONTRACT_REFUSED',
      `Node ${node} did not take its contract in time, so it was released and costs nothing; ` +
        `see whether it is online with \`zos nodes\`, then deploy ${name} again.`,
    );
  }
  if (receipt?.state === 'ended' || state === 'cancelled' || state === 'expired') {
    throw new BotError('CONTRACT_REFUSED', `The contract on node ${node} ended; deploy it again.`);
  }
}

function failure({ subject, because }: Stage, { name }: Follow): BotError {
  const container = subject.replace('container ', '');
  return new BotError(
    'CONTAINER_FAILED',
    `${subject} failed: ${plain(because)}. Read \`zos logs ${name}/${container}\`, then change ` +
      `the file and deploy it again, or end it with \`zos cancel ${name}\`.`,
  );
}

/** What is not there yet, after everything new was announced. */
type Look = (contracts: readonly KnownContract[], announce: (stage: Stage) => void) => Stage[];

async function pollUntil(follow: Follow, ids: readonly string[], look: Look): Promise<void> {
  const { world, books } = follow;
  using progress = openProgress(world.terminal, world.nowMs, 'waiting for the nodes');
  const announce = (stage: Stage): void => {
    progress.clear();
    tell(follow, stage);
  };
  let news = '';
  let newsMs = world.nowMs();
  let failures = 0;
  for (;;) {
    try {
      const open = look(await books.contracts(ids), announce);
      if (open.length === 0) return;
      failures = 0;
      const waits = open.map(waitOf).join('; ');
      progress.say(waits);
      if (waits !== news) newsMs = world.nowMs();
      news = waits;
      if (world.nowMs() - newsMs > SILENCE_MS_MAX) throw silence(open, follow);
    } catch (error) {
      failures += 1;
      if (!codeOf(error).startsWith('HTTP_') || failures > FAILURES_MAX) throw error;
      progress.say(`trying again: ${sentenceOf(error)}`);
    }
    await sleep(ASK_EVERY_MS * (1 + failures), undefined, { signal: world.signal });
  }
}

function waitOf({ subject, because }: Stage): string {
  return because === '' ? `waiting for ${subject}` : `${subject}: ${plain(because)}`;
}

function silence(open: readonly Stage[], { name }: Follow): BotError {
  const subjects = open.map(({ subject }) => subject).join(', ');
  return new BotError(
    'TOO_SLOW',
    `Nothing new was heard of ${subjects} for ${formatDuration(SILENCE_MS_MAX)}; what was signed ` +
      `stands. See \`zos status ${name}\` and \`zos nodes\`.`,
  );
}
