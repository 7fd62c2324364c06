import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Agent, request } from 'undici';
import { ZosError } from '../lib/errors.ts';
import { MiB, SECOND_MS } from '../lib/units.ts';

export class HttpError extends ZosError<
  'HTTP_UNREACHABLE' | 'HTTP_STATUS' | 'HTTP_TOO_LONG' | 'HTTP_TOO_SLOW' | 'HTTP_BROKEN_OFF'
> {}

export type HttpRequest = {
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For the whole exchange, from the connection to the last byte. */
  readonly deadlineMs?: number;
  readonly bytesMax?: number;
  readonly signal?: AbortSignal;
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
};

const DEADLINE_MS = 30 * SECOND_MS;
const BODY_BYTES_MAX = 4 * MiB;

/** No redirect is followed: where a file comes from is decided by who asks, not by who answers. */
const agent = new Agent({ connect: { timeout: 5 * SECOND_MS }, headersTimeout: DEADLINE_MS });

/** One whole exchange, any status; throws `HttpError` when there was no whole answer. */
export async function exchange(wish: HttpRequest): Promise<HttpAnswer> {
  const parts: Uint8Array[] = [];
  const { status, headers } = await open(wish, async (body) => {
    for await (const part of body) parts.push(part);
  });
  return { status, headers, body: new Uint8Array(Buffer.concat(parts)) };
}

/** The body of a GET that answered 200; throws `HttpError`. */
export async function fetchBytes(wish: HttpRequest): Promise<Uint8Array> {
  const answer = await exchange(wish);
  if (answer.status !== 200) throw statusError(wish.url, answer.status);
  return answer.body;
}

export type FetchToFile = HttpRequest & {
  readonly path: string;
  readonly bytesMax: number;
  readonly onProgress?: (lengthBytes: number) => void;
};

/** Writes the body of a GET that answered 200 to a file, replacing it; throws `HttpError`. */
export async function fetchToFile(wish: FetchToFile): Promise<void> {
  let lengthBytes = 0;
  await open(wish, async (body, { status }) => {
    if (status !== 200) throw statusError(wish.url, status);
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const part of body) {
        lengthBytes += part.length;
        wish.onProgress?.(lengthBytes);
        yield part;
      }
    };
    await pipeline(counted(), createWriteStream(wish.path));
  });
}

export type FetchParts = HttpRequest & {
  readonly bytesMax: number;
  /** The longest pause between two parts. */
  readonly idleMs: number;
  /** Sees status and headers before the first byte; what it throws ends the exchange. */
  readonly onHead: (head: Omit<HttpAnswer, 'body'>) => void;
  readonly onPart: (part: Uint8Array) => Promise<void>;
};

/** Hands on the body of a GET as it comes; throws `HttpError`, or what the callbacks throw. */
export async function fetchParts(wish: FetchParts): Promise<void> {
  await open(wish, async (body, head) => {
    wish.onHead(head);
    for await (const part of body) await wish.onPart(part);
  });
}

export type Stream = { readonly status: number; readonly chunks: AsyncIterable<Uint8Array> };

/** An answer without end, such as a feed: the deadline is for its head only. */
export async function openStream(wish: HttpRequest): Promise<Stream> {
  try {
    const answer = await request(wish.url, {
      dispatcher: agent,
      method: 'GET',
      headers: { ...wish.headers },
      headersTimeout: wish.deadlineMs ?? DEADLINE_MS,
      bodyTimeout: 0,
      ...(wish.signal === undefined ? {} : { signal: wish.signal }),
    });
    return { status: answer.statusCode, chunks: answer.body };
  } catch (cause) {
    throw httpErrorOf(wish.url, cause);
  }
}

type Head = Omit<HttpAnswer, 'body'>;
type ReadBody = (body: AsyncIterable<Uint8Array>, head: Head) => Promise<void>;

async function open(
  wish: HttpRequest & { readonly idleMs?: number },
  read: ReadBody,
): Promise<Head> {
  const deadline = AbortSignal.timeout(wish.deadlineMs ?? DEADLINE_MS);
  const signal = wish.signal === undefined ? deadline : AbortSignal.any([wish.signal, deadline]);
  try {
    const answer = await request(wish.url, {
      dispatcher: agent,
      method: wish.method ?? 'GET',
      headers: { ...wish.headers },
      signal,
      ...(wish.body === undefined ? {} : { body: wish.body }),
      ...(wish.idleMs === undefined ? {} : { bodyTimeout: wish.idleMs }),
    });
    const head = { status: answer.statusCode, headers: answer.headers };
    // A body that is given up unread ends with an error that nobody waits for.
    answer.body.on('error', () => {});
    const bounded = bound(answer.body, wish.bytesMax ?? BODY_BYTES_MAX, wish.url);
    try {
      await read(bounded, head);
    } finally {
      answer.body.destroy();
    }
    return head;
  } catch (cause) {
    throw httpErrorOf(wish.url, cause);
  }
}

async function* bound(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  url: string,
): AsyncGenerator<Uint8Array> {
  let lengthBytes = 0;
  for await (const part of body) {
    lengthBytes += part.length;
    if (lengthBytes > bytesMax) {
      throw new HttpError('HTTP_TOO_LONG', `${url} sent more than the ${bytesMax} bytes allowed.`);
    }
    yield part;
  }
}

function statusError(url: string, status: number): HttpError {
  return new HttpError('HTTP_STATUS', `${url} answered ${status}.`, { facts: { url, status } });
}

function httpErrorOf(url: string, cause: unknown): ZosError {
  // What a reader of the body threw is its own.
  if (cause instanceof ZosError) return cause;
  const name = cause instanceof Error ? cause.name : '';
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (name === 'TimeoutError' || code.endsWith('_TIMEOUT')) {
    return new HttpError('HTTP_TOO_SLOW', `${url} did not answer in time.`, { cause });
  }
  if (code === 'UND_ERR_SOCKET' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return new HttpError('HTTP_BROKEN_OFF', `${url} broke off its answer.`, { cause });
  }
  return new HttpError('HTTP_UNREACHABLE', `${url} can't be reached (${code || name}).`, { cause });
}
