import type { FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { REQUEST_AGE_MS_MAX, RequestError, verifyRequest } from '../../contract/request.ts';
import type { Log } from '../../host/log.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import type { Identity } from '../../identity/document.ts';
import { verifyIdentity } from '../../identity/document.ts';
import {
  type Envelope,
  parsePayload,
  type PayloadKind,
  untrustedPayload,
} from '../../identity/envelope.ts';
import { sha256Schema } from '../../lib/names.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { refusalSchema } from '../../sdk/api.ts';
import type { Prover } from '../attestation/prover.ts';
import type { Buckets } from '../buckets.ts';
import { RefusedError } from '../errors.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { OwnIdentity } from '../keys.ts';
import type { Notifier } from '../feed/notifier.ts';
import type { DirectoryRecord } from '../record/record.ts';
import type { Store } from '../store.ts';

/** What every route works with. */
export type Directory = {
  readonly grid: string;
  readonly own: OwnIdentity;
  readonly store: Store;
  readonly notifier: Notifier;
  readonly metrics: Metrics;
  /** Signed writes, by who signed them. */
  readonly byIdentity: Buckets;
  /** Asks nodes for proofs of their class. */
  readonly prover: Pick<Prover, 'ask'>;
  readonly record: Pick<
    DirectoryRecord,
    'policy' | 'published' | 'entry' | 'prove' | 'growth' | 'tile'
  >;
  /** Whose releases it tells nodes about; none when it was started without. */
  readonly trustedRoot?: Uint8Array | undefined;
  readonly nowMs: () => number;
  readonly log: Log;
};

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** The answers that every route may give beside its own. */
export const REFUSALS = { '4xx': refusalSchema, '5xx': refusalSchema } as const;

/** Takes a token of whoever signed; only after the signature holds, or strangers could spend it. */
export function spendOf(directory: Directory, id: string): void {
  const waitMs = directory.byIdentity.take(id, directory.nowMs());
  if (waitMs > 0) throw tooMany(waitMs);
}

/** Lets in only what this identity itself signed, lately, for the first time. */
export async function authorise(
  directory: Directory,
  identity: Identity,
  request: FastifyRequest,
): Promise<void> {
  const { grid, store, nowMs } = directory;
  const signed = verifyRequest(request.headers.authorization, {
    identity,
    grid,
    method: request.method,
    path: request.url,
    nowMs: nowMs(),
  });
  spendOf(directory, identity.id);
  const untilMs = signed.atMs + REQUEST_AGE_MS_MAX + SECOND_MS;
  if (await store.claimNonce({ node: identity.id, nonce: signed.nonce, untilMs })) return;
  throw new RequestError('REQUEST_REPLAYED', 'This very request came before; sign it anew.');
}

/** What is said to who asks too often. */
export function tooMany(waitMs: number): RefusedError {
  return new RefusedError('TOO_MANY_REQUESTS', `Too many requests; wait ${waitMs} ms.`, {
    facts: { waitMs },
  });
}

/** What is said when there is nothing under an id. */
export function notFound(what: string): RefusedError {
  return new RefusedError('NOT_FOUND', `The directory knows no such ${what}; check its id.`);
}

const hintSchema = z.looseObject({ node: sha256Schema });

/**
 * The registered identity of the node that an envelope claims to be by. The claim is only a hint
 * about whose keys to check the signature against; nothing else is taken from it.
 */
export async function claimedNode(
  directory: Directory,
  envelope: Envelope,
  kind: PayloadKind,
): Promise<Identity> {
  const { node } = parsePayload(untrustedPayload(envelope, kind), hintSchema);
  const document = await directory.store.identity(node);
  if (document === undefined) {
    throw new RefusedError('NODE_UNKNOWN', 'This node has not registered; register it first.');
  }
  return verifyIdentity(document, node);
}

/** Whoever farms a registered farm, by their newest documents; throws `RefusedError`. */
export async function farmerOf(
  { store }: Directory,
  farm: string,
): Promise<{ readonly document: IdentityBundle; readonly farmer: Identity }> {
  const document = await store.farmer(farm);
  if (document !== undefined) return { document, farmer: verifyIdentity(document) };
  throw new RefusedError('FARM_UNKNOWN', 'No such farm is registered; create it first.');
}
