import { z } from 'zod';
import { fromBase64 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';
import { type Entry, leafHashOf } from '../../record/entry.ts';
import type { Policy } from '../../record/policy.ts';
import { type RecordedEntry, verifyTlogProof } from '../../record/verify.ts';

/** Room for every hash that there may be, and for 16 witnesses. */
const PROOF_LENGTH_MAX = 16 * KiB;

/** A `.tlog-proof` file in base64: that an entry stands on the record. */
export const proofSchema = z.base64().max(PROOF_LENGTH_MAX);

/**
 * An entry's number among those for its node, counted from 1 with none left out, and its place on
 * the record. Both are the directory's word until the node has checked them. A cancellation comes
 * without a proof at first: its tenant's signature is enough to obey it.
 */
export const placed = {
  seq: z.int().positive().optional(),
  proof: proofSchema.nullable().optional(),
};

/** What a directory says of a payload's place on the record. */
export type CarriedPlace = {
  /** Its number among the entries for its node. */
  readonly seq?: number | undefined;
  /** A `.tlog-proof` file in base64. */
  readonly proof?: string | null | undefined;
};

/** The proof that an entry stands on the record that everybody sees; throws `RecordError`. */
export function verifyPlace(entry: Entry, proof: string, policy: Policy): RecordedEntry {
  return verifyTlogProof(fromBase64(proof) ?? new Uint8Array(), leafHashOf(entry), policy);
}
