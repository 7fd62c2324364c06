import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../lib/bytes.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { askNode } from '../questions/ask.ts';
import { findDeployment } from '../deployments.ts';
import { nearest } from '../deployment/suggest.ts';
import { BotError } from '../errors.ts';
import { type Books, type Grid, openBooks, openGrid } from '../grid.ts';
import { readSelf, type Self } from '../store.ts';
import { plain } from '../terminal.ts';
import { answer, type World } from '../world.ts';

const FOLLOW_EVERY_MS = 2 * SECOND_MS;

export type LogsWish = { readonly wanted: string; readonly isFollowed: boolean };

type Asker = {
  readonly world: World;
  readonly grid: Grid;
  readonly self: Self;
  readonly books: Books;
  readonly contract: string;
  readonly node: string;
  readonly workload: string;
};

/** `zos logs`: asks a container's node for the newest of its log, sealed to this identity. */
export async function printLogs(world: World, { wanted, isFollowed }: LogsWish): Promise<void> {
  const [deployment, workload] = wanted.split('/');
  if (deployment === undefined || workload === undefined || workload === '') {
    throw new BotError('USAGE', `Write the deployment and the container: zos logs ${wanted}/NAME.`);
  }
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const books = openBooks(grid, self.identity.id);
  const found = await findDeployment(world, grid, { wanted: deployment, tenant: self.identity.id });
  const known = await books.contracts(found.contracts);
  const names: string[] = [];
  let place: { contract: string; node: string } | undefined;
  for (const { contract } of known) {
    for (const { kind, name } of contract.workloads) {
      if (kind !== 'container') continue;
      names.push(name);
      if (name === workload) place = { contract: contract.id, node: contract.node };
    }
  }
  if (place === undefined) {
    const near = nearest(workload, names);
    const advice = near === undefined ? `it has ${names.join(', ')}.` : `did you mean ${near}?`;
    const sentence = `${found.name} has no container ${workload}; ${advice}`;
    throw new BotError('CONTAINER_UNKNOWN', sentence);
  }
  const asker: Asker = { world, grid, self, books, workload, ...place };
  const first = await ask(asker);
  if (!isFollowed) {
    answer(world, { container: workload, log: first }, shown(first));
    return;
  }
  await follow(asker, first);
}

async function follow(asker: Asker, first: string): Promise<void> {
  const { world } = asker;
  let before = first;
  world.terminal.out(shown(first));
  while (!world.signal.aborted) {
    try {
      await sleep(FOLLOW_EVERY_MS, undefined, { signal: world.signal });
      const after = await ask(asker);
      world.terminal.out(shown(newPart(before, after)));
      before = after;
    } catch (error) {
      if (!world.signal.aborted) throw error;
    }
  }
}

/** What stands in `after` behind where `before` ended; both are tails of one growing log. */
export function newPart(before: string, after: string): string {
  if (after.startsWith(before)) return after.slice(before.length);
  const anchor = before.slice(-ANCHOR_LENGTH);
  const at = after.lastIndexOf(anchor);
  return at < 0 ? after : after.slice(at + anchor.length);
}

const ANCHOR_LENGTH = 1024;

async function ask(asker: Asker): Promise<string> {
  const { world, grid, self, books, contract, node, workload } = asker;
  const nonce = toHex(randomBytes(16));
  const question = { ask: 'logs', contract, node, workload, nonce } as const;
  const bytes = await askNode({ world, grid, self, books }, question, `${workload}'s node`);
  return new TextDecoder().decode(bytes);
}

/** Nothing that a container prints moves the cursor or changes the colours of this screen. */
function shown(log: string): string {
  return plain(log);
}
