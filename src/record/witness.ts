import { concatBytes, toBase64, utf8 } from '../lib/bytes.ts';
import { parseCheckpoint, parseDecimal } from './checkpoint.ts';
import { type NoteKey, parseNote, verifyNote } from './note.ts';
import { checkGrowth } from './proof.ts';
import { linesBeforeNote, readHashes } from './tlog-proof.ts';
import { RecordError, type TreeHead } from './tree.ts';

/** What a log sends to a witness: `add-checkpoint` (c2sp.org/tlog-witness). */
export type CosignRequest = {
  /** The size that the log believes was cosigned last; 0 for the first time. */
  readonly olderSize: number;
  readonly proof: readonly Uint8Array[];
  readonly checkpoint: Uint8Array;
};

/** A log that a witness watches: whoever may write this can make the witness forget. */
export type WatchedLog = {
  /** The keys that sign for this origin, and for no other. */
  readonly keys: readonly NoteKey[];
  /** The last head that was cosigned; `EMPTY_HEAD` before the first. */
  readonly latest: TreeHead;
};

/**
 * What is left to do, in this order: in one step that nobody comes between, replace the stored head
 * of `origin` if it is still `from`; and only when that is durable, cosign `text` and answer.
 */
export type CosignPlan = {
  readonly origin: string;
  readonly from: TreeHead;
  readonly to: TreeHead;
  readonly text: string;
};

/** The status that the protocol has for each refusal; any other code is a 400. */
export const WITNESS_STATUS = {
  REQUEST_MALFORMED: 400,
  UNTRUSTED: 403,
  SIGNATURE_INVALID: 403,
  LOG_UNKNOWN: 404,
  HEAD_STALE: 409,
  HEAD_FORKED: 409,
  CONSISTENCY_INVALID: 422,
} as const satisfies Partial<Record<RecordError['code'], number>>;

/** A request's body. */
export function formatCosignRequest({ olderSize, proof, checkpoint }: CosignRequest): Uint8Array {
  const lines = [`old ${olderSize}`, ...proof.map((hash) => toBase64(hash))];
  return concatBytes(utf8(`${lines.join('\n')}\n\n`), checkpoint);
}

/** A request's parts; throws `RecordError`. */
export function parseCosignRequest(body: Uint8Array): CosignRequest {
  try {
    const { lines, rest } = linesBeforeNote(body);
    const [first = '', ...others] = lines;
    const proof = readHashes(others);
    if (proof !== undefined && first.startsWith('old ')) {
      return { olderSize: parseDecimal(first.slice('old '.length)), proof, checkpoint: rest };
    }
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

/**
 * A witness's whole decision: cosign only what its log signed and what holds everything that was
 * cosigned before. Throws `RecordError`, whose `facts.sizeSeen` a stale log needs to catch up.
 */
export function planCosign(
  request: CosignRequest,
  watched: (origin: string) => WatchedLog | undefined,
): CosignPlan {
  const note = parseNote(request.checkpoint);
  const log = watched(note.text.split('\n', 1)[0] ?? '');
  if (log === undefined) {
    throw new RecordError('LOG_UNKNOWN', 'This witness does not watch that log; add it first.');
  }
  verifyNote(note, log.keys);
  const { origin, head } = parseCheckpoint(note.text);
  if (request.olderSize > head.size) throw malformed();
  requireLatest(request.olderSize, log.latest);
  checkGrowth({ older: log.latest, newer: head, proof: request.proof });
  return { origin, from: log.latest, to: head, text: note.text };
}

function requireLatest(olderSize: number, { size }: TreeHead): void {
  if (olderSize === size) return;
  const sentence = `This witness saw ${size} entries last, not ${olderSize}; prove from there.`;
  throw new RecordError('HEAD_STALE', sentence, { facts: { sizeSeen: size } });
}

function malformed(cause?: unknown): RecordError {
  const sentence = 'This is no request for a cosignature: “old SIZE”, hashes, and a checkpoint.';
  return new RecordError('REQUEST_MALFORMED', sentence, { cause });
}
