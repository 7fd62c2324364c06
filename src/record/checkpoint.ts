import { fromBase64, toBase64, utf8 } from '../lib/bytes.ts';
import { formatNote, type NoteSignature, type NoteSigner, signText } from './note.ts';
import { EMPTY_ROOT, HASH_BYTES, RecordError, TREE_SIZE_MAX, type TreeHead } from './tree.ts';

/** Cosigners commit to a log's name in one byte of length (c2sp.org/tlog-cosignature). */
const ORIGIN_BYTES_MAX = 255;

/** What a log says of itself in a checkpoint (c2sp.org/tlog-checkpoint). */
export type Checkpoint = {
  /** Which log it is: a name that no other log has, like an address without its scheme. */
  readonly origin: string;
  readonly head: TreeHead;
  /** Lines after the root that mean nothing here; we write none. */
  readonly extensions: readonly string[];
};

/** A checkpoint's text; throws `RecordError` for an origin that no reader would take. */
export function formatCheckpoint(origin: string, { size, root }: TreeHead): string {
  const text = `${origin}\n${size}\n${toBase64(root)}\n`;
  parseCheckpoint(text);
  return text;
}

/** A checkpoint of its text, which has to be verified before; throws `RecordError`. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size, encoded = '', ...extensions] = text.split('\n');
  const end = extensions.pop();
  if (origin === '' || utf8(origin).length > ORIGIN_BYTES_MAX) {
    throw malformed(`its origin has not 1 to ${ORIGIN_BYTES_MAX} bytes`);
  }
  const root = fromBase64(encoded);
  if (root?.length !== HASH_BYTES) throw malformed('its root is no SHA-256 in base64');
  if (end !== '' || extensions.includes('')) throw malformed('it has an empty line, or no end');
  const head = { size: parseDecimal(size), root };
  if (head.size === 0 && encoded !== toBase64(EMPTY_ROOT)) {
    throw malformed('an empty tree has another root');
  }
  return { origin, head, extensions };
}

/** A log's checkpoint, signed by it and by nobody else yet. */
export function signCheckpoint(head: TreeHead, log: NoteSigner): Uint8Array {
  const text = formatCheckpoint(log.name, head);
  return formatNote(text, [signText(text, log)]);
}

/** A witness's cosignature on a checkpoint's text (c2sp.org/tlog-cosignature, Ed25519). */
export function cosignCheckpoint(
  text: string,
  witness: NoteSigner,
  timeSeconds: number,
): NoteSignature {
  parseCheckpoint(text);
  return signText(text, witness, timeSeconds);
}

/** A number as it is written in all of the record: ASCII, no sign, no leading zero. */
export function parseDecimal(text: string | undefined): number {
  const number = Number(text);
  if (/^(?:0|[1-9]\d*)$/.test(text ?? '') && Number.isSafeInteger(number)) return number;
  throw malformed(`a size is written in digits and is at most ${TREE_SIZE_MAX}`);
}

function malformed(why: string): RecordError {
  return new RecordError('CHECKPOINT_MALFORMED', `This is no checkpoint: ${why}.`);
}
