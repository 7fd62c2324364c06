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
import { ZosError } from '../lib/errors.ts';
import { type Claim, claimSchema } from './spec.ts';

export class NameError extends ZosError<
  'NAME_FOREIGN' | 'NAME_TAKEN' | 'NAME_OLD' | 'NAME_FREE' | 'NAME_GAP'
> {}

declare const verified: unique symbol;
/** A claim that its owner signed; whether it counts is decided by what was recorded before it. */
export type VerifiedClaim = Claim & { readonly digest: string } & { readonly [verified]: true };

/** Where a name stands after the claims so far: who has it, or who had it last. */
export type Holding = Pick<VerifiedClaim, 'name' | 'owner' | 'version' | 'digest' | 'state'>;

/** A claim as it may travel; throws when it is not of its own form. */
export function signClaim(claim: Claim, ...signers: Signer[]): Envelope {
  return signEnvelope('name', claimSchema.parse(claim), ...signers);
}

/** Whose claim an envelope says it is: only a hint about whose keys to check it against. */
export function claimedOwner(envelope: Envelope): string {
  return parsePayload(untrustedPayload(envelope, 'name'), claimSchema).owner;
}

/** A claim that `owner` signed in this grid; throws `NameError`, `EnvelopeError` or `JsonError`. */
export function verifyClaim(envelope: Envelope, owner: Identity, grid: string): VerifiedClaim {
  const payload = openEnvelope(envelope, 'name', owner.keys);
  const claim = parsePayload(payload, claimSchema);
  if (claim.owner !== owner.id || claim.grid !== grid) {
    throw new NameError('NAME_FOREIGN', 'This claim is of another identity or grid.');
  }
  return { ...claim, digest: sha256Hex(payload) } as VerifiedClaim;
}

/**
 * What a name becomes by the next claim on the record: the first has it, for ever, unless it gives
 * it up. The directory admits by this, and whoever follows the record checks the directory by it.
 * A claim that is known changes nothing. Throws `NameError`.
 */
export function followName(held: Holding | undefined, claim: VerifiedClaim): Holding {
  const { name, owner, version, previous, digest, state } = claim;
  if (held?.digest === digest) return held;
  if (held?.state === 'held' && held.owner !== owner) {
    throw new NameError('NAME_TAKEN', `The name ${name} is held by another; choose another name.`);
  }
  if (held?.state === state || (held === undefined && state === 'released')) {
    const sentence =
      state === 'held' ? `You hold the name ${name} already.` : `Nobody holds the name ${name}.`;
    throw new NameError(state === 'held' ? 'NAME_OLD' : 'NAME_FREE', sentence);
  }
  if (version !== (held?.version ?? 0) + 1 || previous !== (held?.digest ?? null)) {
    const sentence = `This claim of ${name} does not follow the one before; look it up, sign anew.`;
    throw new NameError('NAME_OLD', sentence);
  }
  return { name, owner, version, digest, state };
}

/**
 * Who holds a name by all its claims, the first first, or `undefined` when it was given up. Throws
 * `NameError` where they do not follow each other from the very first.
 */
export function holderOf(name: string, claims: readonly VerifiedClaim[]): Holding | undefined {
  let holding: Holding | undefined;
  for (const claim of claims) {
    const before: Holding | undefined = holding;
    if (claim.name === name) holding = followName(before, claim);
    if (claim.name !== name || holding === before) {
      throw new NameError('NAME_GAP', `These are not the claims of ${name} one after the other.`);
    }
  }
  return holding?.state === 'held' ? holding : undefined;
}
