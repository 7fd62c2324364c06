import { expect, test } from 'vitest';
import { signEnvelope } from '../../src/identity/envelope.ts';
import { verifyIdentity } from '../../src/identity/document.ts';
import { codeOf } from '../../src/lib/errors.ts';
import type { TurnWish, UpdatePolicy } from '../../src/rollout/spec.ts';
import {
  openTurnAnswer,
  refuseOlderPolicy,
  signTurnAnswer,
  signTurnWish,
  signUpdatePolicy,
  verifyTurnWish,
  verifyUpdatePolicy,
} from '../../src/rollout/verify.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { GRID, makePerson, NOW_MS, type Person } from '../support/contracts.ts';

const FARM = 'fa'.repeat(32);
const [farmer, stranger, node, directory] = ['farmer', 'stranger', 'node', 'directory'].map(
  (name) => makePerson(name),
) as [Person, Person, Person, Person];

function policyOf(over: Partial<UpdatePolicy> = {}): UpdatePolicy {
  return {
    grid: GRID,
    farm: FARM,
    farmer: farmer.id,
    version: 1,
    window: { days: ['sun'], startMinute: 120, lengthMinutes: 180 },
    sharePercent: 25,
    stopped: [],
    forgiven: [],
    ...over,
  };
}

function codeFrom(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return codeOf(error);
  }
}

const EXPECTED = { grid: GRID, farm: FARM };
const here = verifyIdentity(farmer.document);

test('a policy that its farmer signed is taken as it was signed', () => {
  const envelope = signUpdatePolicy(policyOf(), farmer.keys.signing);
  expect(verifyUpdatePolicy(envelope, here, EXPECTED)).toEqual(policyOf());
});

const good = signUpdatePolicy(policyOf(), farmer.keys.signing);
const wider = { ...policyOf(), window: 'always' };
test.each([
  [
    'signed by a stranger',
    signUpdatePolicy(policyOf(), stranger.keys.signing),
    'ENVELOPE_UNTRUSTED',
  ],
  [
    'with another payload under a good signature',
    { ...good, payload: Buffer.from(JSON.stringify(wider)).toString('base64') },
    'ENVELOPE_UNTRUSTED',
  ],
  [
    'for another farm',
    signUpdatePolicy(policyOf({ farm: 'fb'.repeat(32) }), farmer.keys.signing),
    'POLICY_FOREIGN',
  ],
  [
    'that names another farmer',
    signUpdatePolicy(policyOf({ farmer: stranger.id }), farmer.keys.signing),
    'POLICY_FOREIGN',
  ],
  [
    'of another grid',
    signUpdatePolicy(policyOf({ grid: 'other' }), farmer.keys.signing),
    'POLICY_FOREIGN',
  ],
  [
    'that is a join token',
    signEnvelope('join-token', policyOf(), farmer.keys.signing),
    'ENVELOPE_TYPE',
  ],
  [
    'with a share of nothing',
    signEnvelope('update-policy', policyOf({ sharePercent: 0 }), farmer.keys.signing),
    'ENVELOPE_MALFORMED',
  ],
  [
    'with a word that nobody knows',
    signEnvelope('update-policy', { ...policyOf(), hurry: true }, farmer.keys.signing),
    'ENVELOPE_MALFORMED',
  ],
])('a policy %s is refused', (_name, envelope, code) => {
  expect(codeFrom(() => verifyUpdatePolicy(envelope, here, EXPECTED))).toBe(code);
});

test('an older policy, or another of the same version, never replaces a newer one', () => {
  const held = (version: number, over: number) =>
    codeFrom(() => refuseOlderPolicy(policyOf({ version }), over));
  expect([held(1, 2), held(2, 2), held(3, 2)]).toEqual(['POLICY_OLD', 'POLICY_OLD', 'accepted']);
});

const wish: TurnWish = {
  grid: GRID,
  node: node.id,
  seq: 1,
  atMs: NOW_MS,
  what: 'system',
  from: null,
  to: 'a1'.repeat(32),
};
const asker = verifyIdentity(node.document);

test.each([
  ['by another signer', signTurnWish(wish, stranger.keys.signing), 'ENVELOPE_UNTRUSTED'],
  [
    'for another node',
    signTurnWish({ ...wish, node: stranger.id }, node.keys.signing),
    'TURN_FOREIGN',
  ],
  ['on another grid', signTurnWish({ ...wish, grid: 'other' }, node.keys.signing), 'TURN_FOREIGN'],
  [
    'from long ago',
    signTurnWish({ ...wish, atMs: NOW_MS - 6 * MINUTE_MS }, node.keys.signing),
    'TURN_STALE',
  ],
])('a wish for a turn %s is refused', (_name, envelope, code) => {
  expect(codeFrom(() => verifyTurnWish(envelope, asker, { grid: GRID, nowMs: NOW_MS }))).toBe(code);
});

test('an answer counts for the wish that it answers, from the directory alone', () => {
  const envelope = signTurnWish(wish, node.keys.signing);
  const verified = verifyTurnWish(envelope, asker, { grid: GRID, nowMs: NOW_MS });
  const granted = { may: true as const, untilMs: NOW_MS + MINUTE_MS };
  const answer = signTurnAnswer(verified, granted, directory.keys.signing);
  const open = (signer: Person, about: TurnWish): string =>
    codeFrom(() =>
      openTurnAnswer(answer, verifyIdentity(signer.document), {
        grid: GRID,
        node: node.id,
        wish: signTurnWish(about, node.keys.signing),
      }),
    );
  expect(open(directory, wish)).toBe('accepted');
  expect(open(stranger, wish)).toBe('ENVELOPE_UNTRUSTED');
  expect(open(directory, { ...wish, seq: 2 })).toBe('TURN_FOREIGN');
});
