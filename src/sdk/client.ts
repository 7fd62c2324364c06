import { z } from 'zod';
import { type Wants, wantsSchema } from '../contract/wants.ts';
import { exchange, HttpError, openStream } from '../host/http.ts';
import { bundleSchema, type IdentityBundle } from '../identity/bundle.ts';
import type { Identity } from '../identity/document.ts';
import { type Envelope, envelopeSchema } from '../identity/envelope.ts';
import { utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { SECOND_MS } from '../lib/units.ts';
import { registeredAnswer } from './registration.ts';
import * as api from './api.ts';
import { growthAnswer, seenAnswer } from './seen.ts';
import {
  authorization,
  type Calls,
  type NodeSigning,
  type PageWish,
  queryOf,
  type Wish,
} from './calls.ts';
import { farmCalls } from './calls/farms.ts';
import { phonebookCalls } from './phonebook/calls.ts';
import { readEvents } from './events.ts';
import { verifyTime } from './time.ts';

/** A refusal by the directory in its own words; `facts.status` is the HTTP status. */
export class DirectoryError extends ZosError {}

export type ClientOptions = {
  /** As in `http://127.0.0.1:8080`, without a path. */
  readonly baseUrl: string;
  readonly signal?: AbortSignal;
};

export type ContractsWish = PageWish & { readonly tenant?: string; readonly node?: string };
export type WantsWish = { readonly after?: number; readonly waitMs?: number };
export type FeedWish = {
  /** The revision that was seen last: nothing comes until there is another. */
  readonly lastRevision?: number;
  readonly signal?: AbortSignal;
};

const ANSWER_DEPTH_MAX = 24;
const DEADLINE_MS = 15 * SECOND_MS;
/** The directory sends a sign of life every 15 s; three of them missed is a dead connection. */
const FEED_SILENT_MS = 45 * SECOND_MS;

export type Client = ReturnType<typeof openClient>;

/** The directory's HTTP API as typed calls; each throws `DirectoryError` or `HttpError`. */
export function openClient(options: ClientOptions) {
  const base = options.baseUrl.replace(/\/+$/u, '');
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const call = async <T>(wish: Wish<T>): Promise<T> => ask(base, { ...signal, ...wish });
  const get = async <T>(path: string, schema: z.ZodType<T>) => call({ path, schema });
  const post = async <T>(path: string, body: unknown, schema: z.ZodType<T>) =>
    call({ path, schema, body });
  return {
    grid: async () => get('/v1/grid', api.gridAnswer),
    /** The directory's clock, proven fresh by `nonce` (32 digits of hex, never used before). */
    time: async (wish: { grid: string; directory: Identity; nonce: string }) => {
      const envelope = await get(`/v1/time?nonce=${wish.nonce}`, envelopeSchema);
      return verifyTime(envelope, wish.directory, wish);
    },
    /** The newest release that the directory was told of, to be checked by its root keys. */
    release: async () => get('/v1/release', api.releaseAnswer),
    putIdentity: async (identity: IdentityBundle) => post('/v1/identities', identity, api.idAnswer),
    identity: async (id: string) => get(`/v1/identities/${id}`, bundleSchema),
    ...farmCalls({ get, post }),
    /** Asks for a node's turn; the answer is signed by the directory. */
    takeTurn: async (node: string, wish: Envelope) =>
      post(`/v1/nodes/${node}/turn`, wish, envelopeSchema),
    registerNode: async (body: api.NodeBody) => post('/v1/nodes', body, registeredAnswer),
    nodes: async (page: PageWish = {}) => get(`/v1/nodes${queryOf(page)}`, api.nodesAnswer),
    node: async (id: string) => get(`/v1/nodes/${id}`, api.nodeAnswer),
    putHeartbeat: async (heartbeat: Envelope) => post('/v1/heartbeats', heartbeat, seenAnswer),
    ...contractCalls({ get, post }),
    ...phonebookCalls({ call, get, post }),
    /** What the node shall have; `null` when it is still what it was at revision `after`. */
    wants: async (signing: NodeSigning, wish: WantsWish = {}): Promise<Wants | null> => {
      const path = `/v1/nodes/${signing.node}/wants${queryOf(wish)}`;
      return call({
        path,
        schema: wantsSchema.nullable(),
        headers: authorization(signing, path),
        deadlineMs: DEADLINE_MS + (wish.waitMs ?? 0),
      });
    },
    /** What the node shall have, at every change, until the connection ends; then call again. */
    feed: (signing: NodeSigning, wish: FeedWish = {}): AsyncGenerator<Wants> =>
      readFeed(base, signing, wish.signal === undefined ? { ...wish, ...signal } : wish),
  };
}

/** Contracts, what is said and asked of them, and the record that they stand on. */
function contractCalls({ get, post }: Calls) {
  return {
    /** That the record of `to` entries holds all of the one of `from`. */
    growth: async (from: number, to: number) =>
      get(`/record/consistency${queryOf({ from, to })}`, growthAnswer),
    submitContract: async (body: {
      contract: Envelope;
      tenant: IdentityBundle;
      body?: string | undefined;
    }) => post('/v1/contracts', body, api.admissionAnswer),
    contract: async (id: string) => get(`/v1/contracts/${id}`, api.contractAnswer),
    contracts: async (wish: ContractsWish = {}) =>
      get(`/v1/contracts${queryOf(wish)}`, api.contractsAnswer),
    cancelContract: async (body: { cancellation: Envelope; tenant: IdentityBundle }) =>
      post('/v1/cancellations', body, api.idAnswer),
    eraseBody: async (body: { erasure: Envelope; tenant: IdentityBundle }) =>
      post('/v1/erasures', body, api.idAnswer),
    putReceipt: async (receipt: Envelope) => post('/v1/receipts', receipt, api.idAnswer),
    askQuestion: async (body: { question: Envelope; tenant: IdentityBundle }) =>
      post('/v1/questions', body, api.idAnswer),
    putAnswer: async (answer: Envelope) => post('/v1/answers', answer, api.idAnswer),
    /** The answer to a question, still sealed; `null` while there is none. */
    answer: async (question: string) =>
      get(`/v1/questions/${question}/answer`, envelopeSchema.nullable()),
  };
}

async function* readFeed(
  base: string,
  signing: NodeSigning,
  wish: FeedWish,
): AsyncGenerator<Wants> {
  const path = `/v1/nodes/${signing.node}/feed`;
  const { lastRevision } = wish;
  const ending = new AbortController();
  const signal =
    wish.signal === undefined ? ending.signal : AbortSignal.any([wish.signal, ending.signal]);
  const stream = await openStream({
    url: base + path,
    headers: {
      ...authorization(signing, path),
      ...(lastRevision === undefined ? {} : { 'last-event-id': String(lastRevision) }),
    },
    deadlineMs: DEADLINE_MS,
    signal,
  });
  const silence = new DirectoryError('FEED_SILENT', 'The directory fell silent; connect again.');
  const timer = setTimeout(() => ending.abort(), FEED_SILENT_MS);
  const heard = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream.chunks) {
      timer.refresh();
      yield chunk;
    }
  };
  try {
    if (stream.status !== 200) throw refusalOf(await wholeOf(heard()), stream.status);
    for await (const { data } of readEvents(heard(), api.ANSWER_BYTES_MAX)) {
      yield parseAnswer(utf8(data), wantsSchema);
    }
  } catch (cause) {
    if (ending.signal.aborted) throw silence;
    if (cause instanceof ZosError && !(cause instanceof HttpError)) throw cause;
    throw new DirectoryError('FEED_BROKEN', 'The feed broke off; connect again.', { cause });
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

/** No content is `null`, which only some schemas take. */
async function ask<T>(base: string, wish: Wish<T>): Promise<T> {
  const isPost = wish.body !== undefined;
  const answer = await exchange({
    url: base + wish.path,
    method: isPost ? 'POST' : 'GET',
    headers: { ...wish.headers, ...(isPost ? { 'content-type': 'application/json' } : {}) },
    deadlineMs: wish.deadlineMs ?? DEADLINE_MS,
    bytesMax: api.ANSWER_BYTES_MAX,
    ...(isPost ? { body: JSON.stringify(wish.body) } : {}),
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
  if (answer.status >= 300) throw refusalOf(answer.body, answer.status);
  return parseAnswer(answer.status === 204 ? utf8('null') : answer.body, wish.schema);
}

function parseAnswer<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  const limits = { bytesMax: api.ANSWER_BYTES_MAX, depthMax: ANSWER_DEPTH_MAX };
  try {
    return schema.parse(parseStrictJson(bytes, limits));
  } catch (cause) {
    throw new DirectoryError(
      'ANSWER_MALFORMED',
      'The directory answered something else than its API says; check its address and version.',
      { cause },
    );
  }
}

function refusalOf(body: Uint8Array, status: number): DirectoryError {
  try {
    const { code, sentence, facts } = parseAnswer(body, api.refusalSchema);
    return new DirectoryError(code, sentence, { facts: { ...facts, status } });
  } catch {
    // Not the directory's own words, so a proxy's or another program's: none of it is passed on.
    const sentence = `The directory answered ${status} with no reason; check its address.`;
    return new DirectoryError('ANSWER_MALFORMED', sentence, { facts: { status } });
  }
}

async function wholeOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const part of chunks) {
    lengthBytes += part.length;
    if (lengthBytes > api.REFUSAL_BYTES_MAX) break;
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
