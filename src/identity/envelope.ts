import { z } from 'zod';
import { concatBytes, fromBase64, toBase64, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { KiB } from '../lib/units.ts';
import { isValidSignature, signMessage } from './ed25519.ts';
import { keyIdOf } from './keys.ts';

export class EnvelopeError extends ZosError<
  'ENVELOPE_MALFORMED' | 'ENVELOPE_TYPE' | 'ENVELOPE_UNTRUSTED'
> {}

export const ENVELOPE_BYTES_MAX = 512 * KiB;
const PAYLOAD_BYTES_MAX = 256 * KiB;
const SIGNATURES_MAX = 16;
const PAYLOAD_DEPTH_MAX = 16;

const base64 = z.string().refine((text) => fromBase64(text) !== undefined, 'not canonical base64');

/** A DSSE envelope (secure-systems-lab/dsse, envelope.md) as it travels. */
export const envelopeSchema = z.strictObject({
  payloadType: z.string().max(100),
  payload: base64.max(Math.ceil(PAYLOAD_BYTES_MAX / 3) * 4),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(64), sig: base64.max(88) }))
    .min(1)
    .max(SIGNATURES_MAX),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** Every kind of thing that is signed; a signature for one kind never counts for another. */
export type PayloadKind =
  | 'identity'
  | 'farm'
  | 'join-token'
  | 'node-approval'
  | 'offer'
  | 'contract'
  | 'cancellation'
  | 'erasure'
  | 'receipt'
  | 'heartbeat'
  | 'question'
  | 'answer'
  | 'request'
  | 'time'
  | 'boot-answer'
  | 'update-policy'
  | 'farm-terms'
  | 'measurement'
  | 'turn'
  | 'turn-answer'
  | 'disk-consent'
  | 'fence'
  | 'name'
  | 'message'
  | 'network';

/** The media type in the envelope of a kind. */
export function payloadTypeOf(kind: PayloadKind): string {
  return `application/vnd.zos.${kind}.v1+json`;
}

/** DSSE's pre-authentication encoding (protocol.md): the bytes that a signature covers. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concatBytes(utf8(`DSSEv1 ${type.length} ${payloadType} ${payload.length} `), payload);
}

export type Signer = { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array };

/** Signs a value as JSON; the payload's bytes are fixed here and never encoded again. */
export function signEnvelope(kind: PayloadKind, value: unknown, ...signers: Signer[]): Envelope {
  const payload = utf8(JSON.stringify(value));
  const covered = preAuthenticationEncoding(payloadTypeOf(kind), payload);
  const signatures = signers.map((signer) => ({
    keyid: keyIdOf(signer.publicKey),
    sig: toBase64(signMessage(covered, signer.secretKey)),
  }));
  return { payloadType: payloadTypeOf(kind), payload: toBase64(payload), signatures };
}

export type TrustedKeys = {
  /** Raw Ed25519 public keys; the algorithm comes from here, never from the envelope. */
  readonly publicKeys: readonly Uint8Array[];
  /** How many different keys, or members, have to have signed. */
  readonly threshold: number;
  /** Of a team, in the place of keys: each counts once, when enough of its own keys signed. */
  readonly members?: readonly TrustedKeys[];
};

/** The payload's bytes after the signatures hold; throws `EnvelopeError`. */
export function openEnvelope(
  envelope: Envelope,
  kind: PayloadKind,
  trusted: TrustedKeys,
): Uint8Array {
  const payload = untrustedPayload(envelope, kind);
  const covered = preAuthenticationEncoding(envelope.payloadType, payload);
  const count = countSigned(trusted, (publicKey) => isSignedBy(envelope, covered, publicKey));
  if (trusted.threshold < 1 || count < trusted.threshold) {
    const what = trusted.members === undefined ? 'valid signatures' : 'signing members';
    throw new EnvelopeError(
      'ENVELOPE_UNTRUSTED',
      `The ${kind} carries ${count} ${what} of the ${trusted.threshold} it needs; ` +
        'sign it with the keys of the identity it names.',
    );
  }
  return payload;
}

/** Which of the keys signed the envelope; for who asks after `openEnvelope` which one it was. */
export function signersOf(
  envelope: Envelope,
  publicKeys: readonly Uint8Array[],
): readonly Uint8Array[] {
  const payload = fromBase64(envelope.payload) ?? new Uint8Array();
  const covered = preAuthenticationEncoding(envelope.payloadType, payload);
  return publicKeys.filter((publicKey) => isSignedBy(envelope, covered, publicKey));
}

/** The same payload with one more signature, for what several have to sign one after the other. */
export function countersign(envelope: Envelope, kind: PayloadKind, signer: Signer): Envelope {
  const payload = untrustedPayload(envelope, kind);
  const covered = preAuthenticationEncoding(envelope.payloadType, payload);
  const keyid = keyIdOf(signer.publicKey);
  const others = envelope.signatures.filter((signature) => signature.keyid !== keyid);
  const sig = toBase64(signMessage(covered, signer.secretKey));
  return { ...envelope, signatures: [...others, { keyid, sig }] };
}

function isSignedBy(envelope: Envelope, covered: Uint8Array, publicKey: Uint8Array): boolean {
  const keyId = keyIdOf(publicKey);
  return envelope.signatures.some(({ keyid, sig }) => {
    const signature = fromBase64(sig);
    if (keyid !== keyId || signature === undefined) return false;
    return isValidSignature({ publicKey, message: covered, signature });
  });
}

function countSigned(trusted: TrustedKeys, isBy: (publicKey: Uint8Array) => boolean): number {
  if (trusted.members === undefined) {
    return new Set(trusted.publicKeys.filter(isBy).map(keyIdOf)).size;
  }
  return trusted.members.filter(
    (member) => member.threshold >= 1 && countSigned(member, isBy) >= member.threshold,
  ).length;
}

/** The payload's bytes with nothing checked but the type: only to be named by hash, or shown. */
export function untrustedPayload(envelope: Envelope, kind: PayloadKind): Uint8Array {
  if (envelope.payloadType !== payloadTypeOf(kind)) {
    throw new EnvelopeError('ENVELOPE_TYPE', `This envelope does not hold a ${kind}.`);
  }
  const payload = fromBase64(envelope.payload);
  if (payload === undefined || payload.length > PAYLOAD_BYTES_MAX) {
    throw new EnvelopeError('ENVELOPE_MALFORMED', 'The payload is not base64, or is too long.');
  }
  return payload;
}

/** A payload's bytes as a value of its schema, strictly; throws `JsonError` or `EnvelopeError`. */
export function parsePayload<T>(payload: Uint8Array, schema: z.ZodType<T>): T {
  const limits = { bytesMax: PAYLOAD_BYTES_MAX, depthMax: PAYLOAD_DEPTH_MAX };
  const parsed = schema.safeParse(parseStrictJson(payload, limits));
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  throw new EnvelopeError(
    'ENVELOPE_MALFORMED',
    `The payload is not what its type says: ${first?.path.join('.') ?? ''} ${first?.message ?? ''}`,
  );
}

/** An envelope from bytes of outside; throws `JsonError` or `EnvelopeError`. */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  const value = parseStrictJson(bytes, { bytesMax: ENVELOPE_BYTES_MAX, depthMax: 4 });
  const parsed = envelopeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new EnvelopeError('ENVELOPE_MALFORMED', 'This is not a DSSE envelope.');
}
