import { createHash } from 'node:crypto';
import { ZosError } from './errors.ts';

/**
 * Lower-case hexadecimal SHA-256 (FIPS 180-4), the name of everything that is named by its body.
 */
export function sha256Hex(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** The bytes of a text in UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of UTF-8 bytes; throws `TypeError` on bytes that are not UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Standard base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/**
 * The bytes of canonical base64, or `undefined`: a text that would encode differently is refused.
 */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return toBase64(bytes) === text ? bytes : undefined;
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** The bytes of lower-case hexadecimal, or `undefined`. */
export function fromHex(text: string): Uint8Array | undefined {
  return /^(?:[0-9a-f]{2})*$/.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : undefined;
}

/** All parts in one array. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Whether two arrays hold the same bytes; for public values only, it stops at a difference. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export class BytesError extends ZosError<'BYTES_SHORT' | 'BYTES_LEFT' | 'BYTES_TOO_LONG'> {}

export type ByteOrder = 'big' | 'little';

/**
 * Reads numbers and runs of bytes off bounded input, front to back. Nothing is copied, nothing is
 * read past the end, and no length that the input names is believed: each of them throws
 * `BytesError` instead.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #isLittle: boolean;
  #at = 0;

  constructor(bytes: Uint8Array, order: ByteOrder = 'big') {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#isLittle = order === 'little';
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#step(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#step(2), this.#isLittle);
  }

  u32(): number {
    return this.#view.getUint32(this.#step(4), this.#isLittle);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#step(8), this.#isLittle);
  }

  take(lengthBytes: number): Uint8Array {
    const start = this.#step(lengthBytes);
    return this.#bytes.subarray(start, start + lengthBytes);
  }

  /** A run of bytes behind its own 16-bit length. */
  sized16(lengthBytesMax: number): Uint8Array {
    return this.#sized(this.u16(), lengthBytesMax);
  }

  /** A run of bytes behind its own 32-bit length. */
  sized32(lengthBytesMax: number): Uint8Array {
    return this.#sized(this.u32(), lengthBytesMax);
  }

  /** Refuses bytes behind the end of what was read. */
  end(): void {
    if (this.left === 0) return;
    throw new BytesError('BYTES_LEFT', `${this.left} bytes follow where nothing should.`);
  }

  #sized(lengthBytes: number, lengthBytesMax: number): Uint8Array {
    if (lengthBytes > lengthBytesMax) {
      const sentence = `A part has ${lengthBytes} bytes; at most ${lengthBytesMax} are allowed.`;
      throw new BytesError('BYTES_TOO_LONG', sentence);
    }
    return this.take(lengthBytes);
  }

  #step(lengthBytes: number): number {
    if (lengthBytes > this.left) {
      const sentence = `It ends ${lengthBytes - this.left} bytes too early.`;
      throw new BytesError('BYTES_SHORT', sentence);
    }
    const start = this.#at;
    this.#at += lengthBytes;
    return start;
  }
}

/** A number in so many bytes, the most significant first. */
export function bigEndian(value: number, lengthBytes: 1 | 2 | 4): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  for (let at = 0; at < lengthBytes; at += 1) {
    bytes[at] = Math.floor(value / 256 ** (lengthBytes - 1 - at)) % 256;
  }
  return bytes;
}
