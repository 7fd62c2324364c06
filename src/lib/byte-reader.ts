import { ZosError } from './errors.ts';

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
