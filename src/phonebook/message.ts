import { bundleSchema, type IdentityBundle } from '../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../identity/document.ts';
import {
  envelopeSchema,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
} from '../identity/envelope.ts';
import { openSealed, SEAL_OVERHEAD_BYTES, sealTo } from '../identity/seal.ts';
import { z } from 'zod';
import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { DAY_MS, HOUR_MS, KiB } from '../lib/units.ts';
import { type Message, messageSchema } from './spec.ts';

export class MessageError extends ZosError<
  | 'MESSAGE_TOO_LONG'
  | 'MESSAGE_TO_TEAM'
  | 'MESSAGE_SIZE'
  | 'MESSAGE_MALFORMED'
  | 'MESSAGE_FOREIGN'
  | 'MESSAGE_STALE'
> {}

/** How long a letter is, whatever is in it: who carries it sees one of these and no more. */
export const LETTER_BYTES = [2 * KiB, 8 * KiB, 32 * KiB, 128 * KiB] as const;
/** How long a message waits in its mailbox. */
export const MESSAGE_KEPT_MS = 7 * DAY_MS;
/** An older one is refused; who remembers what it read for as long reads nothing twice. */
export const MESSAGE_AGE_MS_MAX = 2 * MESSAGE_KEPT_MS;
/** How far the sender's clock may be ahead. */
const AHEAD_MS_MAX = HOUR_MS;
const LENGTH_BYTES = 4;
const LETTER_DEPTH_MAX = 10;

/** What is sealed: the signed message, and the document of who signed it. */
const letterSchema = z.strictObject({ message: envelopeSchema, sender: bundleSchema });

export type Letter = {
  readonly message: Message;
  readonly signer: Signer;
  /** The sender's document. */
  readonly sender: IdentityBundle;
  readonly recipient: Identity;
};

/** Signs a message and seals it to its recipient, padded; throws `MessageError`. */
export function sealMessage({ message, signer, sender, recipient }: Letter): Uint8Array {
  if (recipient.members.length > 0) {
    const sentence = 'A team has no key to seal to; write to one of its members.';
    throw new MessageError('MESSAGE_TO_TEAM', sentence);
  }
  const signed = signEnvelope('message', messageSchema.parse(message), signer);
  const plain = utf8(JSON.stringify({ message: signed, sender }));
  const lengthBytes = LETTER_BYTES.find((bytes) => bytes >= plain.length + LENGTH_BYTES);
  if (lengthBytes === undefined) {
    throw new MessageError('MESSAGE_TOO_LONG', 'The message is too long; send it in parts.');
  }
  const padded = new Uint8Array(lengthBytes);
  new DataView(padded.buffer).setUint32(0, plain.length);
  padded.set(plain, LENGTH_BYTES);
  return sealTo(recipient.sealingKey, padded);
}

/** Refuses what is no sealed letter by its length; throws `MessageError`. */
export function checkLetterSize(sealed: Uint8Array): void {
  const isLetter = LETTER_BYTES.some((bytes) => bytes + SEAL_OVERHEAD_BYTES === sealed.length);
  if (isLetter) return;
  const sizes = LETTER_BYTES.map((bytes) => bytes + SEAL_OVERHEAD_BYTES).join(', ');
  throw new MessageError('MESSAGE_SIZE', `A sealed letter has ${sizes} bytes; pad and seal it.`);
}

export type OpenedMessage = Message & {
  /** The SHA-256 of what was signed: the same message has it again, however it is sealed. */
  readonly digest: string;
  readonly sender: Identity;
};

export type Reader = {
  readonly grid: string;
  readonly id: string;
  readonly sealingSecret: Uint8Array;
  readonly nowMs: number;
};

/** Opens a letter to this reader; throws `SealError`, `MessageError` and what the checks throw. */
export function openMessage(sealed: Uint8Array, reader: Reader): OpenedMessage {
  checkLetterSize(sealed);
  return readLetter(openSealed(reader.sealingSecret, sealed), reader);
}

/** Reads what was in the seal, which anybody may have made; throws as `openMessage` does. */
export function readLetter(
  padded: Uint8Array,
  reader: Omit<Reader, 'sealingSecret'>,
): OpenedMessage {
  const letter = parseLetter(padded);
  const sender = verifyIdentity(letter.sender);
  const payload = openEnvelope(letter.message, 'message', sender.keys);
  const message = parsePayload(payload, messageSchema);
  // Whoever got a letter can open it and seal it to another: the name inside says whom it is for.
  const isForeign =
    message.from !== sender.id || message.to !== reader.id || message.grid !== reader.grid;
  if (isForeign) {
    throw new MessageError('MESSAGE_FOREIGN', 'This was written to another, or by another.');
  }
  const ageMs = reader.nowMs - message.atMs;
  if (ageMs > MESSAGE_AGE_MS_MAX || ageMs < -AHEAD_MS_MAX) {
    throw new MessageError('MESSAGE_STALE', 'This was written too long ago, or by a wrong clock.');
  }
  return { ...message, digest: sha256Hex(payload), sender };
}

function parseLetter(padded: Uint8Array): z.infer<typeof letterSchema> {
  if (padded.length < LENGTH_BYTES) throw malformed();
  const lengthBytes = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  const end = LENGTH_BYTES + lengthBytes;
  // What pads is zeros, so that nothing else rides along unsigned.
  if (end > padded.length || padded.subarray(end).some((byte) => byte !== 0)) throw malformed();
  const limits = { bytesMax: padded.length, depthMax: LETTER_DEPTH_MAX };
  const parsed = letterSchema.safeParse(
    parseStrictJson(padded.subarray(LENGTH_BYTES, end), limits),
  );
  if (!parsed.success) throw malformed();
  return parsed.data;
}

function malformed(): MessageError {
  return new MessageError('MESSAGE_MALFORMED', 'What was sealed here is no message.');
}
