import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { type NoteKey, parseNote, type SignedBy, verifyNote } from './note.ts';
import { isQuorum, type Policy } from './policy.ts';
import { checkGrowth, checkInclusion } from './proof.ts';
import { parseTlogProof } from './tlog-proof.ts';
import { RecordError } from './tree.ts';

declare const verified: unique symbol;
/** A checkpoint that its log signed and that enough witnesses saw: everybody sees this record. */
export type VerifiedCheckpoint = Checkpoint & {
  /** Which witnesses cosigned it, each with its own time; they need not agree on it. */
  readonly cosigned: readonly SignedBy[];
} & { readonly [verified]: true };

declare const recorded: unique symbol;
/** The place of an entry on the record that everybody sees. */
export type RecordedEntry = {
  readonly checkpoint: VerifiedCheckpoint;
  readonly index: number;
} & { readonly [recorded]: true };

/** Checks 1 to 5 of what comes from a log. Throws `RecordError`. */
export function verifyCheckpoint(bytes: Uint8Array, policy: Policy): VerifiedCheckpoint {
  // 1: it is a signed note, in bounds.
  const note = parseNote(bytes);
  // 2: every signature of a log or witness that the policy knows holds. Only now is it read.
  const logs = policy.logs.map(({ key }) => key);
  const witnesses = [...policy.witnesses.values()].map(({ key }) => key);
  const signed = verifyNote(note, [...logs, ...witnesses]);
  // 3: it is a checkpoint.
  const checkpoint = parseCheckpoint(note.text);
  // 4: the log that it names is the one who signed.
  requireLog(checkpoint, signed);
  // 5: enough witnesses saw it.
  const cosigned = signed.filter(({ key }) => witnesses.includes(key));
  if (!isQuorum(policy, new Set(cosigned.map(({ key }) => key)))) {
    const seen = cosigned.map(({ key }) => key.name).join(', ') || 'nobody';
    const sentence = `Too few witnesses saw this checkpoint: ${seen}. Ask the log again later.`;
    throw new RecordError('QUORUM_MISSING', sentence);
  }
  return { ...checkpoint, cosigned } as unknown as VerifiedCheckpoint;
}

/**
 * Checks 1 to 7: the proof is one, its checkpoint is seen by all, and the leaf stands in its tree.
 * Needs nobody to ask. Throws `RecordError`.
 */
export function verifyTlogProof(
  bytes: Uint8Array,
  leafHash: Uint8Array,
  policy: Policy,
): RecordedEntry {
  // 6: it is a proof's file, in bounds.
  const { index, hashes, checkpoint: signed } = parseTlogProof(bytes);
  const checkpoint = verifyCheckpoint(signed, policy);
  // 7: the way from the leaf ends at the checkpoint's root.
  checkInclusion({ leafHash, index, head: checkpoint.head, proof: hashes });
  return { checkpoint, index } as unknown as RecordedEntry;
}

/**
 * Check 8, of whoever keeps the last checkpoint that they saw: the new one is of the same log, and
 * holds all that was in the old one. Throws `RecordError`.
 */
export function verifyGrowth(
  seen: Checkpoint,
  newer: VerifiedCheckpoint,
  proof: readonly Uint8Array[],
): void {
  if (seen.origin !== newer.origin) {
    const sentence = `This checkpoint is of ${newer.origin}, not of ${seen.origin}; get another.`;
    throw new RecordError('UNTRUSTED', sentence);
  }
  checkGrowth({ older: seen.head, newer: newer.head, proof });
}

function requireLog({ origin }: Checkpoint, signed: readonly SignedBy[]): void {
  const isLog = ({ name, type }: NoteKey): boolean => type === 'ed25519' && name === origin;
  if (signed.some(({ key }) => isLog(key))) return;
  throw new RecordError(
    'UNTRUSTED',
    'No log that we know has signed this checkpoint; get another.',
  );
}
