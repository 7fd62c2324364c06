import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration, MINUTE_MS, SECOND_MS } from '../lib/units.ts';
import { BotError } from './errors.ts';
import { type Grid, type KnownContract, type NodeBook, readContract } from './grid.ts';
import { openProgress, paint, plain, shortId } from './terminal.ts';
import type { World } from './world.ts';

const ASK_EVERY_MS = 500;
/** A failed container may be on its second try already; it is believed when it stays so. */
const FAILED_AFTER_MS = 10 * SECOND_MS;
/** No news for this long, and the command stops waiting; what was sent goes on. */
const SILENCE_MS_MAX = 10 * MINUTE_MS;

/** One thing that is followed until it is as it was meant to be. */
type Stage = { readonly subject: string; readonly state: string; readonly because: string };

export type Follow = {
  readonly world: World;
  readonly grid: Grid;
  readonly nodes: NodeBook;
  readonly startedMs: number;
  /** How the user names what is followed, for what to do next. */
  readonly name: string;
};

/** Writes a line of what just happened and when, to `err`. */
export function tell({ world, startedMs }: Follow, stage: Stage): void {
  const { terminal } = world;
  const at = formatDuration(world.nowMs() - startedMs).padStart(8);
  const state = paint(terminal, COLOURS[stage.state] ?? 'cyan', stage.state.padEnd(9));
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
  const failedSince = new Map<string, number>();
  await pollUntil(follow, [...wanted.keys()], (contracts) => {
    let isDone = true;
    for (const known of contracts) {
      const version = wanted.get(known.contract.id) ?? 1;
      refuseEnded(known, version, follow);
      for (const stage of stagesOf(known, version)) {
        const news = `${stage.state} ${stage.because}`;
        if (told.get(stage.subject) !== news) tell(follow, stage);
        told.set(stage.subject, news);
        if (stage.state !== 'running') isDone = false;
        refuseFailed(stage, failedSince, follow);
      }
    }
    const waits = [...told].filter(([, news]) => !news.startsWith('running'));
    const waiting = waits.map(([subject]) => subject).join(', ');
    return { isDone, news: [...told.values()].join('\n'), waiting };
  });
}

/** Follows contracts until their nodes say that they ended; throws `BotError` on long silence. */
export async function followEnded(follow: Follow, ids: readonly string[]): Promise<void> {
  const told = new Set<string>();
  await pollUntil(follow, ids, (contracts) => {
    for (const known of contracts) {
      const { id, node } = known.contract;
      if (!hasEnded(known) || told.has(id)) continue;
      told.add(id);
      tell(follow, { subject: `node ${shortId(node)}`, state: 'ended', because: '' });
    }
    const open = contracts.filter(({ contract }) => !told.has(contract.id));
    const waiting = open.map(({ contract }) => `node ${shortId(contract.node)}`).join(', ');
    return { isDone: open.length === 0, news: String(told.size), waiting };
  });
}

/** Whether nothing of a contract is left: its node said so, or never took it. */
export function hasEnded({ receipt, state }: KnownContract): boolean {
  if (receipt === null) return state !== 'reserved';
  return receipt.state === 'ended' || receipt.state === 'refused';
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
    subject: `${workload.kind === 'znet' ? 'network' : 'container'} ${plain(workload.name)}`,
    state: workload.state,
    because: workload.because,
  }));
  const containers = stages.filter((stage) => stage.subject.startsWith('container'));
  return [{ subject, state, because: '' }, ...containers];
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
  if (state === 'released') {
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

function refuseFailed(stage: Stage, since: Map<string, number>, follow: Follow): void {
  if (stage.state !== 'failed') {
    since.delete(stage.subject);
    return;
  }
  const nowMs = follow.world.nowMs();
  const firstMs = since.get(stage.subject) ?? nowMs;
  since.set(stage.subject, firstMs);
  if (nowMs - firstMs < FAILED_AFTER_MS) return;
  const container = stage.subject.replace('container ', '');
  throw new BotError(
    'CONTAINER_FAILED',
    `${stage.subject} failed: ${plain(stage.because)}. Read \`zos logs ${follow.name}/${container}\`, ` +
      `then change the file and deploy it again, or end it with \`zos cancel ${follow.name}\`.`,
  );
}

type Look = { readonly isDone: boolean; readonly news: string; readonly waiting: string };

async function pollUntil(
  follow: Follow,
  ids: readonly string[],
  look: (contracts: readonly KnownContract[]) => Look,
): Promise<void> {
  const { world, grid, nodes, name } = follow;
  using progress = openProgress(world.terminal, world.nowMs, 'waiting for the nodes');
  let news = '';
  let newsMs = world.nowMs();
  for (;;) {
    const contracts = await Promise.all(ids.map((id) => readContract(grid, id, nodes)));
    progress.clear();
    const seen = look(contracts);
    if (seen.isDone) return;
    progress.say(`waiting for ${seen.waiting}`);
    if (seen.news !== news) newsMs = world.nowMs();
    news = seen.news;
    if (world.nowMs() - newsMs > SILENCE_MS_MAX) {
      throw new BotError(
        'TOO_SLOW',
        `Nothing was heard of ${seen.waiting} for ${formatDuration(SILENCE_MS_MAX)}; what was ` +
          `signed stands. See \`zos status ${name}\` and \`zos nodes\`.`,
      );
    }
    await sleep(ASK_EVERY_MS, undefined, { signal: world.signal });
  }
}
