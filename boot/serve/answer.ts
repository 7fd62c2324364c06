import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { utf8 } from '../../src/lib/bytes.ts';
import { MiB } from '../../src/lib/units.ts';

/** Bytes that can be sent in part; `close` when they are no longer needed. */
export type Body = {
  readonly lengthBytes: number;
  readonly type: string;
  readonly read: (start: number, end: number) => Readable;
  readonly close: () => Promise<void>;
};

/** A body from memory. */
export function bytesBody(content: string | Uint8Array, type: string): Body {
  const bytes = Buffer.from(typeof content === 'string' ? utf8(content) : content);
  return {
    lengthBytes: bytes.length,
    type,
    read: (start, end) => Readable.from([bytes.subarray(start, end)]),
    close: async () => {},
  };
}

/** A regular file; none when there is no such file. */
export async function fileBody(path: string): Promise<Body | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    const handle = file;
    return {
      lengthBytes: size,
      type: 'application/octet-stream',
      read: (start, end) =>
        handle.createReadStream({ start, end: end - 1, autoClose: false, highWaterMark: MiB }),
      close: () => handle.close(),
    };
  } catch {
    await file?.close();
    return undefined;
  }
}

type Answer = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Body | undefined;
  /** The status when there is no body. */
  readonly refusal: number;
  /** Called with what is going to be sent, after the status is set. */
  readonly onBegin: (lengthBytes: number) => void;
};

/** Sends a body or a part of it (RFC 9110 section 14) and answers how many bytes of it went out. */
export async function sendBody({ request, response, body, ...rest }: Answer): Promise<number> {
  if (body === undefined) {
    response.writeHead(rest.refusal, { 'content-length': 0 }).end();
    return 0;
  }
  try {
    const range = rangeOf(request.headers.range, body.lengthBytes);
    response.statusCode = range === undefined ? 200 : range === 'unsatisfiable' ? 416 : 206;
    if (range === 'unsatisfiable') {
      const whole = { 'content-range': `bytes */${body.lengthBytes}`, 'content-length': 0 };
      response.writeHead(416, whole).end();
      return 0;
    }
    const { start, end } = range ?? { start: 0, end: body.lengthBytes };
    response.setHeader('content-type', body.type);
    response.setHeader('content-length', end - start);
    response.setHeader('accept-ranges', 'bytes');
    if (range !== undefined) {
      response.setHeader('content-range', `bytes ${start}-${end - 1}/${body.lengthBytes}`);
    }
    rest.onBegin(request.method === 'HEAD' ? 0 : end - start);
    if (request.method === 'HEAD' || end === start) {
      response.end();
      return 0;
    }
    return await pump(body.read(start, end), response);
  } finally {
    await body.close();
  }
}

async function pump(source: Readable, response: ServerResponse): Promise<number> {
  let sentBytes = 0;
  source.on('data', (part: Uint8Array) => (sentBytes += part.length));
  // A client that went away is its own business; the event tells how far it came.
  await pipeline(source, response).catch(() => {});
  return sentBytes;
}

type Range = { readonly start: number; readonly end: number };

/** One range of bytes; several, or another unit, count as none, which RFC 9110 allows. */
export function rangeOf(
  header: string | undefined,
  lengthBytes: number,
): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/u.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return undefined;
  if (first === '') {
    const start = Math.max(0, lengthBytes - Number(last));
    return start < lengthBytes ? { start, end: lengthBytes } : 'unsatisfiable';
  }
  const start = Number(first);
  const end = last === '' ? lengthBytes : Math.min(Number(last) + 1, lengthBytes);
  if (last !== '' && Number(last) < start) return undefined;
  return start < lengthBytes ? { start, end } : 'unsatisfiable';
}
