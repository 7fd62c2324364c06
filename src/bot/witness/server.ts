import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ZodError } from 'zod';
import { codeOf, sentenceOf, ZosError } from '../../lib/errors.ts';
import { KiB, SECOND_MS } from '../../lib/units.ts';
import { cosignCheckpoint } from '../../record/checkpoint.ts';
import { formatSignature } from '../../record/note.ts';
import { RecordError } from '../../record/tree.ts';
import { parseCosignRequest, planCosign, WITNESS_STATUS } from '../../record/witness.ts';
import { LETTER_STATUS, LetterError, type LetterBox } from './letters.ts';
import type { WitnessStore } from './store.ts';

/** Every hash that a proof may have, and the longest checkpoint. */
const BODY_BYTES_MAX = 192 * KiB;
const CONNECTIONS_MAX = 512;
const LETTERS = '/v1/cancellations';

export type WitnessOptions = {
  readonly store: WitnessStore;
  readonly box: LetterBox;
  readonly nowMs: () => number;
  /** For a whole request to arrive; its head has half of it. */
  readonly requestDeadlineMs: number;
  /** Told when a log's own signature is under a second history. */
  readonly onAlarm: (sentence: string) => void;
  /** Told when nothing could be stored, and so nothing was signed. */
  readonly onFailure: (error: unknown) => void;
};

type Answer = { readonly status: number; readonly type?: string; readonly text: string };

/**
 * A witness over HTTP: `POST /add-checkpoint` (c2sp.org/tlog-witness), and a box for cancellations
 * past a directory that is silent: `POST` and `GET /v1/cancellations`.
 */
export function makeWitness(options: WitnessOptions): Server {
  const { requestDeadlineMs } = options;
  const server = createServer(
    {
      requestTimeout: requestDeadlineMs,
      headersTimeout: Math.ceil(requestDeadlineMs / 2),
      connectionsCheckingInterval: Math.min(SECOND_MS, Math.ceil(requestDeadlineMs / 4)),
      keepAliveTimeout: 30 * SECOND_MS,
    },
    (request, response) => {
      void answerTo(options, request).then((answer) => send(response, answer));
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

async function answerTo(options: WitnessOptions, request: IncomingMessage): Promise<Answer> {
  const [pathname, query] = (request.url ?? '').split('?', 2);
  const isLetter = pathname === LETTERS;
  if (!isLetter && pathname !== '/add-checkpoint') {
    return { status: 404, text: `There is POST /add-checkpoint here, and ${LETTERS}.\n` };
  }
  try {
    if (isLetter && request.method === 'GET')
      return showLetters(options, new URLSearchParams(query).get('node'));
    if (request.method !== 'POST') return { status: 405, text: 'Send it with POST.\n' };
    const body = await readBody(request);
    if (body === undefined) {
      return { status: 413, text: `A request has ${BODY_BYTES_MAX} bytes at most.\n` };
    }
    if (!isLetter) return { status: 200, text: cosign(options, body) };
    options.box.put(body, options.nowMs());
    return { status: 200, text: 'It waits here for its node, for seven days.\n' };
  } catch (error) {
    return isLetter ? letterRefusalOf(options, error) : refusalOf(options, error);
  }
}

function showLetters({ box, nowMs }: WitnessOptions, node: string | null): Answer {
  if (node === null) return { status: 400, text: 'Say for which node: ?node=ID.\n' };
  const items = box.letters(node, nowMs());
  return { status: 200, type: 'application/json', text: JSON.stringify({ items }) };
}

function letterRefusalOf({ onFailure }: WitnessOptions, error: unknown): Answer {
  const text = `${codeOf(error)}: ${sentenceOf(error)}\n`;
  if (error instanceof LetterError) return { status: LETTER_STATUS[error.code], text };
  if (error instanceof ZosError) return { status: 400, text };
  if (error instanceof ZodError) return { status: 400, text: 'MALFORMED: This is no letter.\n' };
  onFailure(error);
  return { status: 500, text: 'STORE_FAILED: The witness could not keep it; try another.\n' };
}

/** Stores, and only then signs: a crash between the two leaves a head that nobody has signed. */
function cosign({ store, nowMs }: WitnessOptions, body: Uint8Array): string {
  const request = parseCosignRequest(body);
  for (;;) {
    const plan = planCosign(request, store.watched);
    // Nothing new is to be stored when a log asks for the head of before with a new time.
    const isStored = plan.to.size === plan.from.size || store.advance(plan);
    // Somebody else of this store moved the head meanwhile: the next look refuses by its size.
    if (!isStored) continue;
    const timeSeconds = Math.floor(nowMs() / SECOND_MS);
    return formatSignature(cosignCheckpoint(plan.text, store.signer, timeSeconds));
  }
}

function refusalOf({ onAlarm, onFailure }: WitnessOptions, error: unknown): Answer {
  const code = codeOf(error);
  if (code === 'HEAD_FORKED') onAlarm(sentenceOf(error));
  if (error instanceof RecordError) {
    const status = new Map<string, number>(Object.entries(WITNESS_STATUS)).get(code) ?? 400;
    const { sizeSeen } = error.facts;
    if (code === 'HEAD_STALE' && typeof sizeSeen === 'number') {
      return { status, type: 'text/x.tlog.size', text: `${sizeSeen}\n` };
    }
    return { status, text: `${code}: ${error.message}\n` };
  }
  onFailure(error);
  return { status: 500, text: 'STORE_FAILED: The witness could not write; nothing is signed.\n' };
}

/** A body in bounds, or `undefined` as soon as it is longer. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let lengthBytes = Number(request.headers['content-length'] ?? 0);
  if (lengthBytes > BODY_BYTES_MAX) return undefined;
  lengthBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length;
    if (lengthBytes > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function send(response: ServerResponse, { status, type = 'text/plain', text }: Answer): void {
  if (response.destroyed) return;
  // What was refused may not have been read to its end: nothing more comes over that connection.
  const last = status === 404 || status === 405 || status === 413 ? { connection: 'close' } : {};
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(text), ...last };
  response.writeHead(status, headers).end(text);
}
