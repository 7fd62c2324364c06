import { sha256Hex, textOf, utf8 } from '../lib/bytes.ts';
import { leafHash, RecordError } from './tree.ts';

/** Longer than any entry is: a type of 100, two digests, a number and what parts them. */
export const ENTRY_LENGTH_BYTES_MAX = 256;

/** Whom an entry is for, and which of all the entries for that node it is: 1, 2, 3, no gap. */
export type Addressee = { readonly node: string; readonly seq: number };

/**
 * One line of the record. It commits to an envelope's payload and never to its signatures, which
 * can be made anew over the same words; what it commits to may be erased and the line stays.
 */
export type Entry = {
  /** The envelope's. */
  readonly payloadType: string;
  /** SHA-256 of the envelope's payload, in hex: the id by which the payload is known. */
  readonly digest: string;
  readonly to?: Addressee;
};

/** The entry that commits to this payload. */
export function entryOf(payloadType: string, payload: Uint8Array, to?: Addressee): Entry {
  const digest = sha256Hex(payload);
  return to === undefined ? { payloadType, digest } : { payloadType, digest, to };
}

/** An entry's bytes, which the record's leaf is the hash of; throws `RecordError`. */
export function formatEntry({ payloadType, digest, to }: Entry): Uint8Array {
  const addressed = to === undefined ? '' : ` ${to.node} ${to.seq}`;
  const bytes = utf8(`${payloadType} ${digest}${addressed}\n`);
  parseEntry(bytes);
  return bytes;
}

/** An entry of its bytes: one line in one form, nothing around it; throws `RecordError`. */
export function parseEntry(bytes: Uint8Array): Entry {
  const [, payloadType, digest, node, digits] = ENTRY.exec(read(bytes)) ?? [];
  if (payloadType === undefined || digest === undefined) throw malformed();
  if (node === undefined) return { payloadType, digest };
  const seq = Number(digits);
  if (!Number.isSafeInteger(seq)) throw malformed();
  return { payloadType, digest, to: { node, seq } };
}

/** The leaf that an entry is in the record's tree. */
export function leafHashOf(entry: Entry): Uint8Array {
  return leafHash(formatEntry(entry));
}

/** `<payload type> <SHA-256>` and, where it is for one node, ` <node's id> <its number there>`. */
const ENTRY = /^([!-~]{1,100}) ([0-9a-f]{64})(?: ([0-9a-f]{64}) ([1-9]\d{0,15}))?\n$/;

function read(bytes: Uint8Array): string {
  if (bytes.length > ENTRY_LENGTH_BYTES_MAX) throw malformed();
  try {
    return textOf(bytes);
  } catch (cause) {
    throw malformed(cause);
  }
}

function malformed(cause?: unknown): RecordError {
  const sentence = 'This is no entry of the record: a type, a digest, and whom it is for.';
  return new RecordError('ENTRY_MALFORMED', sentence, { cause });
}
