import { isValidSignature, PUBLIC_KEY_BYTES, signMessage } from '../identity/ed25519.ts';
import type { Signer } from '../identity/envelope.ts';
import { concatBytes, fromBase64, sha256Hex, textOf, toBase64, toHex, utf8 } from '../lib/bytes.ts';
import { KiB } from '../lib/units.ts';
import { RecordError } from './tree.ts';

/** Room for a checkpoint and 16 signatures of the largest kind there is (c2sp.org/signed-note). */
export const NOTE_BYTES_MAX = 128 * KiB;
const SIGNATURES_MAX = 100;
const KEY_ID_BYTES = 4;
const TIME_BYTES = 8;
const SIGNATURE_BYTES_MIN = 5;

/** What signs notes here; others may sign beside it and are passed over. */
export type NoteKeyType = 'ed25519' | 'cosignature-v1';

/** The type's byte in key ids and verifier keys (c2sp.org/signed-note, "Signature types"). */
const TYPE_BYTES = { ed25519: 0x01, 'cosignature-v1': 0x04 } satisfies Record<NoteKeyType, number>;

/** A key that signatures are checked with; name and id together say whose a signature is. */
export type NoteKey = {
  readonly name: string;
  readonly type: NoteKeyType;
  readonly publicKey: Uint8Array;
  /** Four bytes in lower-case hex: a hint to find the key by, and no fingerprint. */
  readonly id: string;
};

/** A name, and the Ed25519 key that signs under it. */
export type NoteSigner = Signer & { readonly name: string };

export type NoteSignature = {
  readonly name: string;
  readonly id: string;
  /** After the key's id: for a cosignature the time, and then the signature. */
  readonly bytes: Uint8Array;
};

/** A note as it was written; nothing of it is true before `verifyNote`. */
export type Note = {
  /** What the signatures are over, with its last newline. */
  readonly body: Uint8Array;
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
};

/** A signature that holds; a cosignature says when it was made. */
export type SignedBy = { readonly key: NoteKey; readonly timeSeconds: number | undefined };

/** A key under a name; throws `RecordError`. */
export function noteKeyOf(name: string, type: NoteKeyType, publicKey: Uint8Array): NoteKey {
  const isName = isKeyName(name) && !/\p{Cc}/u.test(name);
  if (!isName || publicKey.length !== PUBLIC_KEY_BYTES) {
    const sentence = 'A key needs 32 bytes and a name without spaces and plus signs.';
    throw new RecordError('KEY_MALFORMED', sentence);
  }
  const typed = concatBytes(Uint8Array.of(TYPE_BYTES[type]), publicKey);
  const id = sha256Hex(utf8(`${name}\n`), typed).slice(0, KEY_ID_BYTES * 2);
  return { name, type, publicKey, id };
}

/** A verifier key as text: `name+id+base64(type || key)` (c2sp.org/signed-note). */
export function formatNoteKey({ name, id, type, publicKey }: NoteKey): string {
  return `${name}+${id}+${toBase64(concatBytes(Uint8Array.of(TYPE_BYTES[type]), publicKey))}`;
}

/** The key of a verifier key's text; throws `RecordError`. */
export function parseNoteKey(text: string): NoteKey {
  const [name, id, encoded] = split3(text);
  const typed = fromBase64(encoded) ?? new Uint8Array();
  const types: readonly NoteKeyType[] = ['ed25519', 'cosignature-v1'];
  const type = types.find((each) => TYPE_BYTES[each] === typed[0]);
  if (type !== undefined) {
    const key = noteKeyOf(name, type, typed.slice(1));
    if (key.id === id) return key;
  }
  const sentence = 'This is no verifier key for Ed25519; copy it again, whole.';
  throw new RecordError('KEY_MALFORMED', sentence);
}

/** Signs a note's text as `ed25519`, or as `cosignature-v1` when a time is given. */
export function signText(text: string, signer: NoteSigner, timeSeconds?: number): NoteSignature {
  const body = utf8(text);
  const type = timeSeconds === undefined ? 'ed25519' : 'cosignature-v1';
  const { id } = noteKeyOf(signer.name, type, signer.publicKey);
  const covered = timeSeconds === undefined ? body : cosignedBytes(body, timeSeconds);
  const signature = signMessage(covered, signer.secretKey);
  const time = timeSeconds === undefined ? new Uint8Array() : timeBytes(timeSeconds);
  return { name: signer.name, id, bytes: concatBytes(time, signature) };
}

/** A signature's line, with its newline. */
export function formatSignature({ name, id, bytes }: NoteSignature): string {
  return `— ${name} ${toBase64(concatBytes(Buffer.from(id, 'hex'), bytes))}\n`;
}

/** A note's bytes; throws `RecordError` when nobody could read it back. */
export function formatNote(text: string, signatures: readonly NoteSignature[]): Uint8Array {
  const bytes = utf8(`${text}\n${signatures.map((each) => formatSignature(each)).join('')}`);
  if (parseNote(bytes).text === text) return bytes;
  throw malformed('its text does not end where its signatures begin');
}

/** A note's parts; throws `RecordError`. */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > NOTE_BYTES_MAX) {
    const sentence = `A note has at most ${NOTE_BYTES_MAX} bytes; this one has ${bytes.length}.`;
    throw new RecordError('NOTE_TOO_LONG', sentence);
  }
  const control = bytes.findIndex((byte) => byte < 0x20 && byte !== 0x0a);
  if (control !== -1) throw malformed(`byte ${control} is a control character`);
  // The text may hold empty lines: the last one ends it.
  const split = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).lastIndexOf('\n\n');
  if (split === -1) throw malformed('no empty line parts its text from signatures');
  const body = bytes.slice(0, split + 1);
  const signatures = parseSignatures(decode(bytes.subarray(split + 2)));
  return { body, text: decode(body), signatures };
}

/** Signature lines, one at least; throws `RecordError`. */
export function parseSignatures(text: string): NoteSignature[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw malformed('its last line has no end');
  if (lines.length === 0) throw malformed('it has no signature');
  if (lines.length > SIGNATURES_MAX) throw malformed(`it has over ${SIGNATURES_MAX} signatures`);
  return lines.map((line) => {
    const [, name = '', encoded = ''] = /^— ([^ ]+) ([^ ]+)$/u.exec(line) ?? [];
    const bytes = fromBase64(encoded);
    if (!isKeyName(name) || bytes === undefined || bytes.length < SIGNATURE_BYTES_MIN) {
      throw malformed('a signature line is not a dash, a name and base64');
    }
    const id = toHex(bytes.slice(0, KEY_ID_BYTES));
    return { name, id, bytes: bytes.slice(KEY_ID_BYTES) };
  });
}

/**
 * Whose signatures hold, each key once, with its newest time. Signatures of unknown keys are passed
 * over; throws `RecordError` when one of a known key does not hold, or when none is of a known key.
 */
export function verifyNote(note: Note, keys: readonly NoteKey[]): SignedBy[] {
  const signed = new Map<NoteKey, SignedBy>();
  for (const { name, id, bytes } of note.signatures) {
    const key = keys.find((each) => each.name === name && each.id === id);
    if (key === undefined) continue;
    const timeSeconds = key.type === 'ed25519' ? undefined : readTime(bytes);
    const message = timeSeconds === undefined ? note.body : cosignedBytes(note.body, timeSeconds);
    const signature = timeSeconds === undefined ? bytes : bytes.slice(TIME_BYTES);
    if (!isValidSignature({ publicKey: key.publicKey, message, signature })) {
      const sentence = `The signature of ${name} does not hold; trust nothing in this note.`;
      throw new RecordError('SIGNATURE_INVALID', sentence);
    }
    const before = signed.get(key)?.timeSeconds ?? -1;
    if ((timeSeconds ?? 0) > before) signed.set(key, { key, timeSeconds });
  }
  if (signed.size === 0) {
    throw new RecordError('UNTRUSTED', 'Nobody whom we know has signed this note; get another.');
  }
  return [...signed.values()];
}

/** What a cosignature covers (c2sp.org/tlog-cosignature, "Ed25519 signed message"). */
function cosignedBytes(body: Uint8Array, timeSeconds: number): Uint8Array {
  return concatBytes(utf8(`cosignature/v1\ntime ${timeSeconds}\n`), body);
}

function timeBytes(timeSeconds: number): Uint8Array {
  const bytes = Buffer.alloc(TIME_BYTES);
  bytes.writeBigUInt64BE(BigInt(timeSeconds));
  return bytes;
}

function readTime(bytes: Uint8Array): number {
  const time = bytes.length < TIME_BYTES ? -1n : Buffer.from(bytes).readBigUInt64BE();
  const seconds = Number(time);
  if (Number.isSafeInteger(seconds) && seconds >= 0) return seconds;
  throw new RecordError('SIGNATURE_INVALID', 'A cosignature gives no time that can be read.');
}

function isKeyName(name: string): boolean {
  return name !== '' && !/[\p{White_Space}+]/u.test(name);
}

/** Base64 has plus signs of its own: only the first two part a verifier key. */
function split3(text: string): [string, string, string] {
  const first = text.indexOf('+');
  const second = text.indexOf('+', first + 1);
  if (first === -1 || second === -1) return ['', '', ''];
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)];
}

function decode(bytes: Uint8Array): string {
  try {
    return textOf(bytes);
  } catch (cause) {
    throw malformed('it is not UTF-8', cause);
  }
}

function malformed(why: string, cause?: unknown): RecordError {
  const sentence = `This is no signed note: ${why}; fetch it again.`;
  return new RecordError('NOTE_MALFORMED', sentence, { cause });
}
