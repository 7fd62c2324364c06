import { verifyIdentity } from '../../../src/identity/document.ts';
import { signEnvelope, type Envelope, untrustedPayload } from '../../../src/identity/envelope.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { GiB, HOUR_MS } from '../../../src/lib/units.ts';
import type { Capacity } from '../../../src/capacity/spec.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import type { Receipt } from '../../../src/contract/receipt.ts';
import type { Home } from '../../../src/node/identity/home.ts';
import {
  carry,
  GRID,
  makeContract,
  makePerson,
  NOW_MS,
  type Person,
  PRICES,
} from '../contracts.ts';

export type Farmer = Person & { readonly farm: Envelope; readonly farmId: string };

/** A farmer with a farm, not registered yet. */
export function makeFarmer(name = 'farmer'): Farmer {
  const person = makePerson(name);
  const farm = signEnvelope(
    'farm',
    { grid: GRID, farmer: person.id, name: `${name}-farm` },
    person.keys.signing,
  );
  return { ...person, farm, farmId: sha256Hex(untrustedPayload(farm, 'farm')) };
}

let nonces = 0;
/** Thirty-two digits of hex that no other call gave. */
export function freshNonce(): string {
  nonces += 1;
  return nonces.toString(16).padStart(32, '0');
}

/** A join token of that farmer, good for one node. */
export function makeToken(farmer: Farmer, changes: Record<string, unknown> = {}): Envelope {
  const token = {
    grid: GRID,
    farm: farmer.farmId,
    farmer: farmer.id,
    nonce: freshNonce(),
    notAfterMs: NOW_MS + HOUR_MS,
    takeBlankDisks: true,
    ...changes,
  };
  return signEnvelope('join-token', token, farmer.keys.signing);
}

/** What a node knows of its farmer, by boot media with a token. */
export function homeOf({ document, farmId }: Farmer): { readonly current: () => Home } {
  const home = { farmer: verifyIdentity(document), farm: farmId };
  return { current: () => home };
}

/** That farmer's word that a node without a token is of their farm. */
export function approve(
  farmer: Pick<Farmer, 'id' | 'farmId'> & { readonly keys: Pick<Farmer['keys'], 'signing'> },
  node: string,
  changes: Record<string, unknown> = {},
): Envelope {
  const word = { grid: GRID, farm: farmer.farmId, farmer: farmer.id, node, ...changes };
  return signEnvelope('node-approval', word, farmer.keys.signing);
}

export const CAPACITY: Capacity = { cru: 4, mruBytes: 2 * GiB, sruBytes: 10 * GiB, hruBytes: 0 };

/** An offer that the node signs. */
export function makeOffer(node: Person, changes: Record<string, unknown> = {}): Envelope {
  const offer = {
    grid: GRID,
    node: node.id,
    version: 1,
    capacity: CAPACITY,
    class: 'unverified',
    prices: PRICES,
    endorsement: null,
    hardware: { board: 'test', processor: 'test', networkCards: [], disks: [] },
    ...changes,
  };
  return signEnvelope('offer', offer, node.keys.signing);
}

/** A contract for that node, with a nonce of its own, signed and ready to be sent. */
export function contractFor(
  tenant: Person,
  node: { readonly id: string; readonly offerId: string },
  changes: Partial<Contract> = {},
) {
  const base = { node: node.id, offer: node.offerId, nonce: freshNonce(), workloads: [] };
  return carry(tenant, makeContract(tenant, { ...base, ...changes }));
}

/** A sign of life but for its node and number. */
export const HEARTBEAT = {
  grid: GRID,
  atMs: NOW_MS,
  bootId: 'boot',
  uptimeMs: HOUR_MS,
  memory: { totalBytes: GiB, availableBytes: GiB },
  system: null,
  addresses: [],
  stages: [],
  keyKept: 'memory',
  agentStarts: 1,
};

/** A receipt that the node signs. */
export function makeReceipt(
  node: Person,
  contract: string,
  changes: Partial<Receipt> = {},
): Envelope {
  const receipt = {
    grid: GRID,
    node: node.id,
    seq: 1,
    atMs: NOW_MS,
    contract,
    version: 1,
    digest: contract,
    state: 'accepted',
    workloads: [],
    znetEnds: [],
    ...changes,
  };
  return signEnvelope('receipt', receipt, node.keys.signing);
}
