import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { bigEndian, ByteReader, BytesError, concatBytes, toHex } from '../lib/bytes.ts';
import { AttestationError } from './spec.ts';

const [ALG_SHA256, ALG_NULL, ALG_ECC, ALG_ECDSA] = [0x000b, 0x0010, 0x0023, 0x0018] as const;
const CURVE_P256 = 0x0003;
const COORDINATE_BYTES = 32;

/** TPMA_OBJECT (part 2, 8.3.2): what binds a key to its TPM, and to what the TPM itself makes. */
const ATTRIBUTES = { fixedTpm: 0x2, fixedParent: 0x10, ownOrigin: 0x20, restricted: 0x10000 };
const [ATTRIBUTE_DECRYPT, ATTRIBUTE_SIGN] = [0x20000, 0x40000] as const;

/** A key that quotes, in a form that lets nothing but its TPM speak through it. */
export type AttestationKey = {
  /** TPM2B_NAME's content: the algorithm and the hash of the public area (part 1, 16). */
  readonly name: Uint8Array;
  readonly key: KeyObject;
};

/**
 * TPMT_PUBLIC (part 2, 12.2.4) of a restricted ECDSA key on P-256 that was made in its TPM and
 * can't leave it; any other key throws `AttestationError`: it could sign quotes that nobody made.
 */
export function parseAttestationKey(bytes: Uint8Array): AttestationKey {
  const { attributes, x, y } = readForm('KEY_UNFIT', 'The key', () => readPublic(bytes));
  const must = ATTRIBUTES.fixedTpm | ATTRIBUTES.fixedParent | ATTRIBUTES.ownOrigin;
  const isBound = (attributes & (must | ATTRIBUTES.restricted)) === (must | ATTRIBUTES.restricted);
  const isForSigning = (attributes & (ATTRIBUTE_SIGN | ATTRIBUTE_DECRYPT)) === ATTRIBUTE_SIGN;
  if (!isBound || !isForSigning) throw unfit('it may sign what its TPM did not make');
  const hash = createHash('sha256').update(bytes).digest();
  return { name: concatBytes(bigEndian(ALG_SHA256, 2), hash), key: keyOf(x, y) };
}

function readPublic(bytes: Uint8Array) {
  const reader = new ByteReader(bytes);
  const [type, nameAlgorithm] = [reader.u16(), reader.u16()];
  const attributes = reader.u32();
  reader.sized16(COORDINATE_BYTES);
  const [symmetric, scheme] = [reader.u16(), reader.u16()];
  if (type !== ALG_ECC || nameAlgorithm !== ALG_SHA256 || symmetric !== ALG_NULL) {
    throw unfit('it is no key on an elliptic curve');
  }
  if (scheme !== ALG_ECDSA || reader.u16() !== ALG_SHA256) throw unfit('it does not sign ECDSA');
  if (reader.u16() !== CURVE_P256 || reader.u16() !== ALG_NULL) throw unfit('it is not on P-256');
  const [x, y] = [reader.sized16(COORDINATE_BYTES), reader.sized16(COORDINATE_BYTES)];
  reader.end();
  return { attributes, x, y };
}

function keyOf(x: Uint8Array, y: Uint8Array): KeyObject {
  const coordinate = (bytes: Uint8Array): string =>
    Buffer.from(padded(bytes, COORDINATE_BYTES)).toString('base64url');
  const key = { kty: 'EC', crv: 'P-256', x: coordinate(x), y: coordinate(y) };
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    throw unfit('it is no point of P-256');
  }
}

/** TPMT_SIGNATURE (part 2, 11.3.4) over `attest` by this key; throws `AttestationError`. */
export function checkQuoteSignature(
  attest: Uint8Array,
  signature: Uint8Array,
  { key }: AttestationKey,
): void {
  const pair = readForm('QUOTE_UNSIGNED', 'The signature', () => {
    const reader = new ByteReader(signature);
    if (reader.u16() !== ALG_ECDSA || reader.u16() !== ALG_SHA256) throw unsigned();
    const [r, s] = [reader.sized16(COORDINATE_BYTES), reader.sized16(COORDINATE_BYTES)];
    reader.end();
    return concatBytes(padded(r, COORDINATE_BYTES), padded(s, COORDINATE_BYTES));
  });
  if (!verify('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }, pair)) throw unsigned();
}

/** What a quote says. */
export type Quote = {
  readonly nonce: Uint8Array;
  /** The registers of the SHA-256 bank that it is over, in their order. */
  readonly registers: readonly number[];
  /** SHA-256 of their values, one after the other. */
  readonly digest: string;
};

/** TPM_GENERATED_VALUE: nothing that a TPM signs for others begins with it (part 2, 6.2). */
const GENERATED = 0xff544347;
const ST_ATTEST_QUOTE = 0x8018;
const NAME_BYTES_MAX = 66;
const NONCE_BYTES_MAX = 64;
const SELECT_BYTES_MAX = 8;

/** TPMS_ATTEST of a quote (part 2, 10.12.12); throws `AttestationError`. */
export function parseQuote(bytes: Uint8Array): Quote {
  return readForm('QUOTE_MALFORMED', 'The quote', () => {
    const reader = new ByteReader(bytes);
    if (reader.u32() !== GENERATED || reader.u16() !== ST_ATTEST_QUOTE) {
      throw new AttestationError('QUOTE_MALFORMED', 'What the TPM signed is no quote.');
    }
    reader.sized16(NAME_BYTES_MAX); // Qualified name of the key.
    const nonce = reader.sized16(NONCE_BYTES_MAX);
    reader.take(8 + 4 + 4 + 1 + 8); // Clock, resets, restarts, safe, firmware version.
    const registers = readSelection(reader);
    const digest = toHex(reader.sized16(32));
    reader.end();
    return { nonce, registers, digest };
  });
}

/** TPML_PCR_SELECTION (part 2, 10.9.7) of one bank. */
function readSelection(reader: ByteReader): number[] {
  if (reader.u32() !== 1 || reader.u16() !== ALG_SHA256) {
    throw new AttestationError('PCR_SELECTION', 'The quote is over another bank than SHA-256.');
  }
  const lengthBytes = reader.u8();
  if (lengthBytes > SELECT_BYTES_MAX) throw new BytesError('BYTES_TOO_LONG', 'Too many registers.');
  const bits = reader.take(lengthBytes);
  return [...bits].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => at * 8 + bit),
  );
}

function padded(bytes: Uint8Array, lengthBytes: number): Uint8Array {
  return concatBytes(new Uint8Array(lengthBytes - bytes.length), bytes);
}

function unfit(why: string): AttestationError {
  return new AttestationError('KEY_UNFIT', `The key can't vouch for a boot: ${why}.`);
}

function unsigned(): AttestationError {
  return new AttestationError('QUOTE_UNSIGNED', 'The quote is not signed by the key of this TPM.');
}

/** Reads a structure; what is too short, too long or left over is one refusal of this code. */
export function readForm<T>(code: AttestationError['code'], what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause;
    throw new AttestationError(code, `${what} is malformed: ${cause.message}`, { cause });
  }
}
