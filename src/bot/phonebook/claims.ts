import type { Identity } from '../../identity/document.ts';
import { type Envelope, payloadTypeOf } from '../../identity/envelope.ts';
import { sentenceOf, ZosError } from '../../lib/errors.ts';
import { claimedOwner, followName, type Holding, verifyClaim } from '../../phonebook/name.ts';
import type { Entry } from '../../record/entry.ts';
import type { Fault } from '../record/store.ts';

export type ClaimCheck = {
  readonly index: number;
  readonly envelope: Envelope;
  readonly grid: string;
  readonly identityOf: (id: string) => Promise<Identity>;
  /** Where a name stands by everything on the record before. */
  readonly heldOf: (name: string) => Holding | undefined;
};

/** Whether an entry is a claim of a name. */
export function isName({ payloadType }: Entry): boolean {
  return payloadType === payloadTypeOf('name');
}

/**
 * What a name becomes by the next claim on the record, or the fault of a directory that recorded a
 * claim that it had to refuse: a name is its first owner's until that owner gives it up.
 */
export async function followClaim(check: ClaimCheck): Promise<Holding | Fault> {
  const { index, envelope, grid, identityOf, heldOf } = check;
  try {
    const owner = await identityOf(claimedOwner(envelope));
    const claim = verifyClaim(envelope, owner, grid);
    return followName(heldOf(claim.name), claim);
  } catch (error) {
    if (!(error instanceof ZosError) || error.code.startsWith('HTTP_')) throw error;
    const sentence = `Entry ${index}, a claim of a name: ${sentenceOf(error)}`;
    return { index, code: error.code, sentence };
  }
}
