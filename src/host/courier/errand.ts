import { type JsonLimits, parseStrictJson } from '../../lib/strict-json.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB, MiB } from '../../lib/units.ts';
import { CourierError } from './frame.ts';

/** How this machine reaches out. */
export type WayOut = {
  /** An HTTP proxy, such as `http://10.0.0.1:3128`, for machines that reach nothing else. */
  readonly proxy: string | null;
  /** DNS servers that are asked directly; without any, the machine's own settings count. */
  readonly nameServers: readonly string[];
};

const METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const;

/** One request as it goes out: what the network has to know, and nothing of who asks. */
export type Errand = {
  readonly url: string;
  readonly method: (typeof METHODS)[number];
  readonly headers: Readonly<Record<string, string>>;
  readonly way: WayOut;
  /** How long the answer's head may take, and the pauses in its body; 0 is for ever. */
  readonly headMs: number;
  readonly idleMs: number;
  readonly body?: Uint8Array;
};

export type AnswerHead = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

/** An answer whose head is here; its body is read once, or closed. */
export type Reached = AnswerHead & {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly close: () => void;
};

/** Whoever does a request: this process, or its courier. */
export type Reach = (errand: Errand, signal: AbortSignal) => Promise<Reached>;

/** A failure as it comes back from the courier. */
export type Failure = { readonly code: string; readonly sentence: string };

/** The most that an errand takes along. */
export const ERRAND_BODY_BYTES_MAX = 16 * MiB;
const LIMITS: JsonLimits = { bytesMax: 64 * KiB, depthMax: 4 };
const SENTENCE_CHARS_MAX = 600;

/** All of an errand but its body. Throws `CourierError` when it is longer than a frame. */
export function writeErrand(errand: Errand): Uint8Array {
  return written({ ...errand, body: undefined });
}

/** Reads what `writeErrand` wrote; throws `CourierError` or `JsonError`. */
export function readErrand(bytes: Uint8Array): Errand {
  const it = recordOf(parseStrictJson(bytes, LIMITS));
  const way = recordOf(it['way']);
  const method = METHODS.find((known) => known === it['method']);
  if (method === undefined) throw broken('method');
  return {
    method,
    url: textOf(it['url'], 'url'),
    headers: mapped(recordOf(it['headers']), (value) => textOf(value, 'headers')),
    way: {
      proxy: way['proxy'] === null ? null : textOf(way['proxy'], 'proxy'),
      nameServers: listOf(way['nameServers']).map((server) => textOf(server, 'nameServers')),
    },
    headMs: numberOf(it['headMs'], 'headMs'),
    idleMs: numberOf(it['idleMs'], 'idleMs'),
  };
}

/** The head of an answer, to be sent; throws `CourierError` when it is longer than a frame. */
export function writeHead({ status, headers }: AnswerHead): Uint8Array {
  return written({ status, headers });
}

/** Reads the head of an answer out of a process that nobody trusts; throws as `readErrand`. */
export function readHead(bytes: Uint8Array): AnswerHead {
  const it = recordOf(parseStrictJson(bytes, LIMITS));
  const status = numberOf(it['status'], 'status');
  if (status < 100 || status > 999) throw broken('status');
  const headers = mapped(recordOf(it['headers']), (value) =>
    typeof value === 'string' ? value : listOf(value).map((each) => textOf(each, 'headers')),
  );
  return { status, headers };
}

/** A failure, to be sent. */
export function writeFailure({ code, sentence }: Failure): Uint8Array {
  return written({ code, sentence: sentence.slice(0, SENTENCE_CHARS_MAX) });
}

/** As `readHead`; the sentence is cut, and holds no control characters. */
export function readFailure(bytes: Uint8Array): Failure {
  const it = recordOf(parseStrictJson(bytes, LIMITS));
  const sentence = textOf(it['sentence'], 'sentence').replaceAll(/\p{Cc}+/gu, ' ');
  return { code: textOf(it['code'], 'code'), sentence: sentence.slice(0, SENTENCE_CHARS_MAX) };
}

function written(value: unknown): Uint8Array {
  const bytes = utf8(JSON.stringify(value));
  if (bytes.length <= LIMITS.bytesMax) return bytes;
  throw new CourierError('COURIER_BROKEN', 'An errand or its answer has too long a head.');
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw broken('object');
}

function mapped<T>(
  record: Readonly<Record<string, unknown>>,
  read: (value: unknown) => T,
): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, read(value)]));
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw broken('list');
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw broken(what);
}

function numberOf(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw broken(what);
}

function broken(what: string): CourierError {
  return new CourierError('COURIER_BROKEN', `The courier's word is broken at its ${what}.`);
}
