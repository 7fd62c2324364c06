import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Dispatcher } from 'undici';
import { utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { MiB, SECOND_MS } from '../lib/units.ts';
import type { Errand, Reach, Reached, WayOut } from './courier/errand.ts';
import { NameError, openNames } from './net/names.ts';

/** Every code of `HttpError`. */
export const HTTP_CODES = [
  'HTTP_UNREACHABLE',
  'HTTP_NO_NAME',
  'HTTP_STATUS',
  'HTTP_TOO_LONG',
  'HTTP_TOO_SLOW',
  'HTTP_BROKEN_OFF',
] as const;

export class HttpError extends ZosError<(typeof HTTP_CODES)[number]> {}

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
/** The longest pause between two parts, where nobody says another. */
const IDLE_MS = 300 * SECOND_MS;

const CONNECT_MS = 5 * SECOND_MS;
const DIRECT: WayOut = { proxy: null, nameServers: [] };

/**
 * The way of this process: there is one network, and every request leaves by it. What undici keeps
 * is opened on first use, so that an agent whose courier does it holds none of it in memory. Of
 * undici the image has `Agent` and `ProxyAgent` with `request` alone (`image/node/bundle.ts`).
 */
const out: { way: WayOut; reach: Reach; agent: Promise<Dispatcher> | undefined } = {
  way: DIRECT,
  reach: reachDirectly,
  agent: undefined,
};

/** From now on every request leaves this way; what is under way ends as it began. */
export function useWayOut(way: WayOut): void {
  if (JSON.stringify(way) === JSON.stringify(out.way)) return;
  const before = out.agent;
  out.way = way;
  out.agent = undefined;
  before?.then(async (agent) => agent.close()).catch(() => undefined);
}

/** From now on another process does the requests of this one; see `courier/`. */
export function reachBy(reach: Reach): void {
  out.reach = reach;
}

/** No redirect is followed: where a file comes from is decided by who asks, not by who answers. */
async function openAgent({ proxy, nameServers }: WayOut): Promise<Dispatcher> {
  const { Agent, ProxyAgent } = await import('undici');
  const connect = { timeout: CONNECT_MS, lookup: openNames({ nameServers }) };
  const options = { headersTimeout: DEADLINE_MS };
  if (proxy === null) return new Agent({ ...options, connect });
  // HTTP in absolute form, as many proxies let CONNECT reach port 443 alone; HTTPS by CONNECT. The
  // proxy looks names up.
  const proxyTunnel = false;
  return new ProxyAgent({ ...options, uri: proxy, proxyTunnel, proxyTls: connect });
}

/** A request out of this process; throws `HttpError`, and so does reading what comes. */
export async function reachDirectly(errand: Errand, signal: AbortSignal): Promise<Reached> {
  const { url, method, headers, body, headMs, idleMs } = errand;
  try {
    out.agent ??= openAgent(out.way);
    const dispatcher = await out.agent;
    const { origin, pathname, search } = new URL(url);
    const answer = await dispatcher.request({
      origin,
      path: `${pathname}${search}`,
      method,
      headers: { ...headers },
      signal,
      headersTimeout: headMs,
      bodyTimeout: idleMs,
      ...(body === undefined ? {} : { body }),
    });
    // A body that is given up unread ends with an error that nobody waits for.
    answer.body.on('error', () => {});
    return {
      status: answer.statusCode,
      headers: answer.headers,
      chunks: told(answer.body, url),
      close: () => void answer.body.destroy(),
    };
  } catch (cause) {
    throw httpErrorOf(url, cause);
  }
}

async function* told(body: AsyncIterable<Uint8Array>, url: string): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    throw httpErrorOf(url, cause);
  }
}

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
  const { signal = new AbortController().signal } = wish;
  try {
    const headMs = wish.deadlineMs ?? DEADLINE_MS;
    const { status, chunks } = await out.reach(errandOf(wish, { headMs, idleMs: 0 }), signal);
    return { status, chunks };
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
    const patience = { headMs: DEADLINE_MS, idleMs: wish.idleMs ?? IDLE_MS };
    const answer = await out.reach(errandOf(wish, patience), signal);
    const head = { status: answer.status, headers: answer.headers };
    const bounded = bound(answer.chunks, wish.bytesMax ?? BODY_BYTES_MAX, wish.url);
    try {
      await read(bounded, head);
    } finally {
      answer.close();
    }
    return head;
  } catch (cause) {
    throw httpErrorOf(wish.url, cause);
  }
}

function errandOf(wish: HttpRequest, patience: Pick<Errand, 'headMs' | 'idleMs'>): Errand {
  const { url, method = 'GET', headers = {}, body } = wish;
  const bytes = typeof body === 'string' ? utf8(body) : body;
  return {
    url,
    method,
    headers,
    way: out.way,
    ...patience,
    ...(bytes === undefined ? {} : { body: bytes }),
  };
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

/** What went wrong on the way to an address, as one of ours. */
export function httpErrorOf(url: string, cause: unknown): ZosError {
  if (cause instanceof NameError) {
    return new HttpError('HTTP_NO_NAME', `${url} can't be reached: ${cause.message}`, { cause });
  }
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
  const { proxy } = out.way;
  const by = proxy === null ? '' : ` through the proxy ${proxy}`;
  const why = code || name;
  return new HttpError('HTTP_UNREACHABLE', `${url} can't be reached${by} (${why}).`, { cause });
}
