import { ZosError } from '../../lib/errors.ts';
import { KiB } from '../../lib/units.ts';

export class CourierError extends ZosError<'COURIER_BROKEN'> {}

/**
 * What goes over the one socket between the agent and its courier: length of the body (4 bytes),
 * kind (1), number of the errand (4), body; numbers big-endian.
 */
export const KIND = {
  /** To the courier: an errand begins; a part of its body; that is all of it. */
  ask: 1,
  body: 2,
  go: 3,
  /** To the courier: so many bytes more may come; give it up. */
  more: 4,
  stop: 5,
  /** From the courier: head; a part; the end; it failed. */
  head: 6,
  part: 7,
  end: 8,
  fail: 9,
  /** Asked, and answered: who does not answer hangs. */
  ping: 10,
  pong: 11,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];
export type Frame = { readonly kind: Kind; readonly errand: number; readonly body: Uint8Array };

const HEAD_BYTES = 9;
export const FRAME_BODY_BYTES_MAX = 64 * KiB;
/** Bytes of one answer that may be under way, unread. */
export const WINDOW_BYTES = 256 * KiB;
/** Errands under way at once. */
export const ERRANDS_MAX = 32;
const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));
const NOTHING = new Uint8Array();

/** One frame, whole. */
export function writeFrame(kind: Kind, errand = 0, body: Uint8Array = NOTHING): Uint8Array {
  const bytes = Buffer.alloc(HEAD_BYTES + body.length);
  bytes.writeUInt32BE(body.length);
  bytes.writeUInt8(kind, 4);
  bytes.writeUInt32BE(errand, 5);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

/** The body of a `more`. */
export function writeCount(count: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(count);
  return bytes;
}

/** Reads the body of a `more`; throws `CourierError`. */
export function readCount(body: Uint8Array): number {
  if (body.length !== 4) throw new CourierError('COURIER_BROKEN', 'A count has 4 bytes.');
  return Buffer.from(body).readUInt32BE();
}

/** Cuts bytes, as they come, into frames; throws `CourierError` at what is none. */
export class FrameReader {
  #rest = Buffer.alloc(0);

  push(bytes: Uint8Array): Frame[] {
    let rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    while (rest.length >= HEAD_BYTES) {
      const lengthBytes = rest.readUInt32BE();
      const kind = rest.readUInt8(4);
      if (lengthBytes > FRAME_BODY_BYTES_MAX || !KINDS.has(kind)) {
        throw new CourierError('COURIER_BROKEN', 'The courier’s socket gave what is no frame.');
      }
      const end = HEAD_BYTES + lengthBytes;
      if (rest.length < end) break;
      const body = new Uint8Array(rest.subarray(HEAD_BYTES, end));
      frames.push({ kind: kind as Kind, errand: rest.readUInt32BE(5), body });
      rest = rest.subarray(end);
    }
    // A copy: what is left must not hold the whole of what came.
    this.#rest = Buffer.from(rest);
    return frames;
  }
}
