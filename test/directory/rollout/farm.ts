import { signEnvelope } from '../../../src/identity/envelope.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import type { BadMark, Judgement, ReleaseKind, UpdatePolicy } from '../../../src/rollout/spec.ts';
import { openTurnAnswer, signTurnWish, signUpdatePolicy } from '../../../src/rollout/verify.ts';
import { GRID, type Person } from '../../support/contracts.ts';
import { joinNode, type TestDirectory } from '../../support/directory.ts';
import { type Farmer, makeFarmer } from '../../support/identity/farm.ts';

export const OLD = '00'.repeat(32);
export const NEW = '11'.repeat(32);

let seq = 0;
/** A number that is higher than every one before. */
export function nextSeq(): number {
  seq += 1;
  return seq;
}

export type Ask = { readonly to?: string; readonly what?: ReleaseKind };
export type Say = {
  readonly system?: string;
  readonly bad?: readonly BadMark[];
  isOnTrial?: boolean;
};

/** A farm of so many nodes, and what its farmer and its nodes do. */
export async function openFarm(directory: TestDirectory, count: number) {
  const { client, clock } = directory;
  const farmer: Farmer = makeFarmer();
  const nodes: Person[] = [];
  for (let at = 0; at < count; at += 1) nodes.push(await joinNode(directory, farmer));
  const policyOf = (over: Partial<UpdatePolicy>): UpdatePolicy => ({
    grid: GRID,
    farm: farmer.farmId,
    farmer: farmer.id,
    version: 1,
    window: 'always',
    sharePercent: 25,
    stopped: [],
    forgiven: [],
    ...over,
  });
  const sign = async (over: Partial<UpdatePolicy> = {}): Promise<void> => {
    const policy = signUpdatePolicy(policyOf(over), farmer.keys.signing);
    await client.putUpdatePolicy(farmer.farmId, policy);
  };
  const ask = async (node: Person, { to = NEW, what = 'system' }: Ask = {}): Promise<Judgement> => {
    const atMs = clock.nowMs;
    const about = { grid: GRID, node: node.id, seq: nextSeq(), atMs, what, from: OLD, to };
    const wish = signTurnWish(about, node.keys.signing);
    const answer = await client.takeTurn(node.id, wish);
    const identity = verifyIdentity(directory.own.document);
    return openTurnAnswer(answer, identity, { grid: GRID, node: node.id, wish });
  };
  const beat = async (
    node: Person,
    { system = OLD, bad = [], isOnTrial = false }: Say = {},
  ): Promise<void> => {
    const heartbeat = {
      ...LIFE,
      grid: GRID,
      node: node.id,
      seq: nextSeq(),
      atMs: clock.nowMs,
      system,
      systemBad: bad,
      isOnTrial,
    };
    await client.putHeartbeat(signEnvelope('heartbeat', heartbeat, node.keys.signing));
  };
  const turns = async () => (await client.updates(farmer.farmId)).turns;
  return { farmer, nodes, policyOf, sign, ask, beat, turns };
}

const LIFE = {
  bootId: 'test',
  uptimeMs: 1,
  memory: { totalBytes: 1, availableBytes: 1 },
  addresses: [],
  stages: [],
  keyKept: 'disk',
  agentStarts: 1,
};

/** A node's mark on the new release. */
export function markOf(clock: { nowMs: number }, policyVersion = 0): BadMark {
  const reason = 'the agent ended with status 1 three times';
  return { what: 'system', sha256: NEW, reason, atMs: clock.nowMs, policyVersion };
}

/** What was said, in short. */
export function short(judgement: Judgement): string {
  return judgement.may ? 'goes' : `${judgement.code}: ${judgement.because}`;
}
