import { verifyOffer } from '../../capacity/verify.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { type Envelope, envelopeSchema } from '../../identity/envelope.ts';
import { verifyFarm, verifyJoinToken } from '../../identity/farm.ts';
import { signFence } from '../../contract/health/lease.ts';
import { verifyHeartbeat } from '../../contract/receipt.ts';
import {
  farmBody,
  farmsAnswer,
  idAnswer,
  idParams,
  nodeAnswer,
  nodeBody,
  nodesAnswer,
  pageQuery,
} from '../../sdk/api.ts';
import { textOf, toBase64 } from '../../lib/bytes.ts';
import { RefusedError } from '../errors.ts';
import { type SeenAnswer, seenAnswer } from '../../sdk/seen.ts';
import { type Registered, registeredAnswer, type Registration } from '../../sdk/registration.ts';
import type { NodeEntry } from '../store.ts';
import {
  type App,
  claimedNode,
  type Directory,
  farmerOf,
  notFound,
  REFUSALS,
  spendOf,
} from './app.ts';

/** Farms, as their farmers signed them. */
export function addFarmRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;

  app.post(
    '/v1/farms',
    { schema: { tags: ['farms'], body: farmBody, response: { 200: idAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const farmer = verifyIdentity(body.farmer);
      const farm = verifyFarm(body.farm, farmer, grid);
      spendOf(directory, farmer.id);
      await store.putFarm(
        { value: farm, envelope: body.farm },
        { value: farmer, envelope: body.farmer },
        nowMs(),
      );
      return { id: farm.id };
    },
  );

  app.get(
    '/v1/farms',
    {
      schema: {
        tags: ['farms'],
        querystring: pageQuery,
        response: { 200: farmsAnswer, ...REFUSALS },
      },
    },
    async ({ query }) => store.farms(query),
  );
}

/** Nodes: how they join, what they offer, and that they live. */
export function addNodeRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;
  const tags = ['nodes'];

  app.post(
    '/v1/nodes',
    { schema: { tags, body: nodeBody, response: { 200: registeredAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const identity = verifyIdentity(body.identity);
      const offer = verifyOffer(body.offer, identity, grid);
      const { token, farmer } = verifiedToken(body, grid);
      spendOf(directory, identity.id);
      const registration = await store.registerNode({
        identity: { value: identity, envelope: body.identity },
        offer: { value: offer, envelope: body.offer },
        token,
        farmer,
        nowMs: nowMs(),
      });
      directory.prover.ask(identity.id);
      return { ...registration, ...(await approvalFor(directory, registration)) };
    },
  );

  app.get(
    '/v1/nodes',
    { schema: { tags, querystring: pageQuery, response: { 200: nodesAnswer, ...REFUSALS } } },
    async ({ query }) => store.nodes(query),
  );

  app.get(
    '/v1/nodes/:id',
    { schema: { tags, params: idParams, response: { 200: nodeAnswer, ...REFUSALS } } },
    async ({ params }) => {
      const node = await store.node(params.id);
      if (node === undefined) throw notFound('node');
      return node;
    },
  );

  app.post(
    '/v1/heartbeats',
    { schema: { tags, body: envelopeSchema, response: { 200: seenAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const node = await claimedNode(directory, body, 'heartbeat');
      const heartbeat = verifyHeartbeat(body, node, grid);
      spendOf(directory, node.id);
      const lastSeenMs = nowMs();
      const told = { value: heartbeat, envelope: body };
      const { fencedBecause, hasRival } = await store.putHeartbeat(told, lastSeenMs);
      const record = await growthFor(directory, heartbeat.record?.size ?? 0);
      const seen = { seq: heartbeat.seq, lastSeenMs, record, hasRival };
      if (fencedBecause === null) return seen;
      const { bootId } = heartbeat;
      const fence = { grid, node: node.id, bootId, because: fencedBecause };
      return { ...seen, fence: signFence(fence, directory.own.keys.signing) };
    },
  );
}

/** The farmer's word by which a node joined, and the farmer's documents of now. */
async function approvalFor(
  directory: Directory,
  { id, farm }: Registration,
): Promise<Pick<Registered, 'approval'>> {
  const word = await directory.store.approval(id);
  if (word === undefined || farm === null) return {};
  return { approval: { word, farmer: (await farmerOf(directory, farm)).document } };
}

type Joining = { readonly token: Envelope | null; readonly farmer: IdentityBundle | null };

/** All but its end, which does not count for the node that used it: the store knows which. */
function verifiedToken(body: Joining, grid: string): Pick<NodeEntry, 'token' | 'farmer'> {
  if (body.token === null) return { token: null, farmer: null };
  if (body.farmer === null) {
    throw new RefusedError('BODY_MALFORMED', 'A join token needs its farmer beside it.');
  }
  const farmer = verifyIdentity(body.farmer);
  return { token: verifyJoinToken(body.token, { farmer, grid, nowMs: 0 }), farmer };
}

/** The published head for a node that saw `from` entries last, and that it grew out of those. */
async function growthFor({ record }: Directory, from: number): Promise<SeenAnswer['record']> {
  const { size, checkpoint } = await record.published();
  if (checkpoint === null) return null;
  // A node that saw more than there is gets the head as it is, and draws its own conclusion.
  const proof = from > size ? [] : await record.growth(from, size);
  return {
    checkpoint: textOf(checkpoint),
    proof: proof.map((hash) => toBase64(hash)),
  };
}
