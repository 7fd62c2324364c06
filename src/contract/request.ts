import { z } from 'zod';
import type { Identity } from '../identity/document.ts';
import {
  openEnvelope,
  parseEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
} from '../identity/envelope.ts';
import { gridSchema } from '../identity/farm.ts';
import { utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { MINUTE_MS } from '../lib/units.ts';

export class RequestError extends ZosError<
  'REQUEST_UNSIGNED' | 'REQUEST_FOREIGN' | 'REQUEST_STALE' | 'REQUEST_REPLAYED'
> {}

/** How far the clocks of who asks and who answers may be apart. */
export const REQUEST_AGE_MS_MAX = 5 * MINUTE_MS;
const SCHEME = 'ZOS ';
const HEADER_BYTES_MAX = 8192;

const requestSchema = z.strictObject({
  grid: gridSchema,
  method: z.enum(['GET', 'POST']),
  /** Path and query, exactly as they stand in the request's first line. */
  path: z.string().startsWith('/').max(1000),
  atMs: z.int().positive(),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
});
/** What a signature over a request without a body covers. */
export type SignedRequest = z.infer<typeof requestSchema>;

/** The value of the `authorization` header that makes a request its signer's. */
export function signRequest(request: SignedRequest, signer: Signer): string {
  const envelope = signEnvelope('request', requestSchema.parse(request), signer);
  return SCHEME + Buffer.from(utf8(JSON.stringify(envelope))).toString('base64url');
}

export type RequestContext = {
  readonly identity: Identity;
  readonly grid: string;
  readonly method: string;
  readonly path: string;
  readonly nowMs: number;
};

/**
 * Checks that `identity` signed exactly this request, lately. Whether its nonce came before is for
 * the store to say. Throws `RequestError`, `EnvelopeError` or `JsonError`.
 */
export function verifyRequest(header: string | undefined, context: RequestContext): SignedRequest {
  const envelope = parseEnvelope(headerBytes(header));
  const payload = openEnvelope(envelope, 'request', context.identity.keys);
  const request = parsePayload(payload, requestSchema);
  const isForeign =
    request.grid !== context.grid ||
    request.method !== context.method ||
    request.path !== context.path;
  if (isForeign) {
    throw new RequestError('REQUEST_FOREIGN', 'The signature is for another request; sign this.');
  }
  if (Math.abs(context.nowMs - request.atMs) > REQUEST_AGE_MS_MAX) {
    throw new RequestError(
      'REQUEST_STALE',
      'The request was signed over five minutes from now; set the clock and sign again.',
      { facts: { nowMs: context.nowMs, atMs: request.atMs } },
    );
  }
  return request;
}

function headerBytes(header: string | undefined): Uint8Array {
  if (header === undefined || !header.startsWith(SCHEME) || header.length > HEADER_BYTES_MAX) {
    throw unsigned();
  }
  const text = header.slice(SCHEME.length);
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw unsigned();
  return new Uint8Array(bytes);
}

function unsigned(): RequestError {
  return new RequestError(
    'REQUEST_UNSIGNED',
    'This needs the header "authorization: ZOS" with a request signed by the node it is about.',
  );
}
