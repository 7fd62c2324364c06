import type { Identity } from '../identity/document.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
  untrustedPayload,
} from '../identity/envelope.ts';
import { sha256Hex } from '../lib/bytes.ts';
import { MINUTE_MS } from '../lib/units.ts';
import {
  type Judgement,
  RolloutError,
  turnAnswerSchema,
  type TurnWish,
  turnWishSchema,
  type UpdatePolicy,
  updatePolicySchema,
} from './spec.ts';

/** How far the clocks of a node and its directory may be apart. */
const WISH_AGE_MS_MAX = 5 * MINUTE_MS;

declare const verified: unique symbol;
/** A policy that the farm's own farmer signed; nothing but `verifyUpdatePolicy` makes one. */
export type VerifiedPolicy = UpdatePolicy & { readonly [verified]: true };

/** Signs a policy with the farmer's keys. */
export function signUpdatePolicy(policy: UpdatePolicy, signer: Signer): Envelope {
  return signEnvelope('update-policy', updatePolicySchema.parse(policy), signer);
}

/** Throws `RolloutError`, `EnvelopeError` or `JsonError`. */
export function verifyUpdatePolicy(
  envelope: Envelope,
  farmer: Identity,
  expected: { readonly grid: string; readonly farm: string },
): VerifiedPolicy {
  const payload = openEnvelope(envelope, 'update-policy', farmer.keys);
  const policy = parsePayload(payload, updatePolicySchema);
  const isForeign =
    policy.farmer !== farmer.id || policy.farm !== expected.farm || policy.grid !== expected.grid;
  if (!isForeign) return policy as unknown as VerifiedPolicy;
  throw new RolloutError(
    'POLICY_FOREIGN',
    'This update policy is for another farm, farmer or grid; sign one for this farm.',
    { facts: { farm: policy.farm, expected: expected.farm } },
  );
}

/** Throws `RolloutError` for a policy that is older than the one that is held. */
export function refuseOlderPolicy(policy: UpdatePolicy, heldVersion: number): void {
  if (policy.version > heldVersion) return;
  throw new RolloutError(
    'POLICY_OLD',
    `Version ${heldVersion} of this farm's update policy is known already; sign a later one.`,
    { facts: { version: heldVersion } },
  );
}

/** Signs a node's wish for a turn. */
export function signTurnWish(wish: TurnWish, signer: Signer): Envelope {
  return signEnvelope('turn', turnWishSchema.parse(wish), signer);
}

export type SignedTurnWish = TurnWish & { readonly id: string };

/** A node's wish, signed lately; whether its number came before is the store's to say. */
export function verifyTurnWish(
  envelope: Envelope,
  node: Identity,
  context: { readonly grid: string; readonly nowMs: number },
): SignedTurnWish {
  const payload = openEnvelope(envelope, 'turn', node.keys);
  const wish = parsePayload(payload, turnWishSchema);
  if (wish.node !== node.id || wish.grid !== context.grid) {
    throw new RolloutError('TURN_FOREIGN', 'It asks for another node or grid than its signer.');
  }
  if (Math.abs(context.nowMs - wish.atMs) > WISH_AGE_MS_MAX) {
    throw new RolloutError(
      'TURN_STALE',
      'It was asked over five minutes from now; set the clock and ask again.',
      { facts: { nowMs: context.nowMs, atMs: wish.atMs } },
    );
  }
  return { ...wish, id: sha256Hex(payload) };
}

/** Signs the answer to one wish. */
export function signTurnAnswer(
  { grid, node, id }: SignedTurnWish,
  judgement: Judgement,
  signer: Signer,
): Envelope {
  const answer = { grid, node, wish: id, judgement };
  return signEnvelope('turn-answer', turnAnswerSchema.parse(answer), signer);
}

/** What the directory answered to this very wish; nobody on the way can say it in its place. */
export function openTurnAnswer(
  envelope: Envelope,
  directory: Identity,
  asked: { readonly grid: string; readonly node: string; readonly wish: Envelope },
): Judgement {
  const payload = openEnvelope(envelope, 'turn-answer', directory.keys);
  const answer = parsePayload(payload, turnAnswerSchema);
  const wish = sha256Hex(untrustedPayload(asked.wish, 'turn'));
  if (answer.wish === wish && answer.node === asked.node && answer.grid === asked.grid) {
    return answer.judgement;
  }
  throw new RolloutError('TURN_FOREIGN', 'This answers another wish; ask again.');
}
