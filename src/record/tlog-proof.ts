import { concatBytes, fromBase64, textOf, toBase64, utf8 } from '../lib/bytes.ts';
import { KiB } from '../lib/units.ts';
import { NOTE_BYTES_MAX } from './note.ts';
import { PROOF_HASHES_MAX } from './proof.ts';
import { HASH_BYTES, RecordError, TREE_SIZE_MAX } from './tree.ts';

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** Room for every hash there may be, and for words to the reader. */
const HEAD_BYTES_MAX = 64 * KiB;

/** A proof's file, offline to check and named `.tlog-proof` (c2sp.org/tlog-proof). */
export type TlogProof = {
  readonly index: number;
  /** The inclusion proof, from the leaf's sibling up. */
  readonly hashes: readonly Uint8Array[];
  /** The signed checkpoint as it was fetched. */
  readonly checkpoint: Uint8Array;
  /** Words to whoever reads it; nobody signed them. */
  readonly extra?: Uint8Array;
};

/** A proof as text; the checkpoint follows as it is. */
export function formatTlogProof({ index, hashes, checkpoint, extra }: TlogProof): Uint8Array {
  const lines = [
    FIRST_LINE,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...hashes.map((hash) => toBase64(hash)),
  ];
  return concatBytes(utf8(`${lines.join('\n')}\n\n`), checkpoint);
}

/** A proof's parts, none of them checked against another yet; throws `RecordError`. */
export function parseTlogProof(bytes: Uint8Array): TlogProof {
  if (bytes.length > HEAD_BYTES_MAX + NOTE_BYTES_MAX) throw malformed('it is too long');
  const { lines, rest } = linesBeforeNote(bytes);
  if (lines.shift() !== FIRST_LINE) throw malformed(`it does not begin with ${FIRST_LINE}`);
  const extra = lines[0]?.startsWith('extra ') ? readExtra(lines.shift()) : undefined;
  const [, digits] = /^index (0|[1-9]\d*)$/.exec(lines.shift() ?? '') ?? [];
  const index = Number(digits);
  if (digits === undefined || index >= TREE_SIZE_MAX) throw malformed('it has no index line');
  const hashes = readHashes(lines);
  if (hashes === undefined) throw malformed('a line is no SHA-256 in base64, or one too many');
  return { index, hashes, checkpoint: rest, ...(extra === undefined ? {} : { extra }) };
}

/**
 * The lines up to the first empty one, and the bytes after it: what a proof and a witness's request
 * have before their checkpoint. Throws `RecordError`.
 */
export function linesBeforeNote(bytes: Uint8Array): {
  readonly lines: string[];
  readonly rest: Uint8Array;
} {
  const split = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('\n\n');
  if (split === -1 || split > HEAD_BYTES_MAX) throw malformed('no empty line ends it in time');
  try {
    const lines = textOf(bytes.subarray(0, split)).split('\n');
    return { lines, rest: bytes.slice(split + 2) };
  } catch (cause) {
    throw malformed('it is not UTF-8', cause);
  }
}

/** One hash a line, or `undefined` when one is none or there are too many. */
export function readHashes(lines: readonly string[]): Uint8Array[] | undefined {
  if (lines.length > PROOF_HASHES_MAX) return undefined;
  const hashes = lines.map((line) => fromBase64(line)).filter((hash) => hash !== undefined);
  const isWhole = hashes.length === lines.length;
  return isWhole && hashes.every(({ length }) => length === HASH_BYTES) ? hashes : undefined;
}

function readExtra(line = ''): Uint8Array {
  const extra = fromBase64(line.slice('extra '.length));
  if (extra === undefined) throw malformed('its extra line is no base64');
  return extra;
}

function malformed(why: string, cause?: unknown): RecordError {
  const sentence = `This is no proof of the record: ${why}; fetch it again.`;
  return new RecordError('PROOF_MALFORMED', sentence, { cause });
}
