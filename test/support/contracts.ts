import type { Prices } from '../../src/capacity/price.ts';
import { NO_RESOURCES } from '../../src/capacity/spec.ts';
import { OPENS_ELSEWHERE } from '../../src/contract/checks/body.ts';
import { signContract } from '../../src/contract/sign.ts';
import type { Contract } from '../../src/contract/spec.ts';
import type { CarriedContract, NodeKnowledge } from '../../src/contract/verify.ts';
import { signIdentity, verifyIdentity } from '../../src/identity/document.ts';
import type { Envelope } from '../../src/identity/envelope.ts';
import { makeSecretKeys, type SecretKeys } from '../../src/identity/keys.ts';
import { GiB, HOUR_MS, MiB } from '../../src/lib/units.ts';

export const NOW_MS = Date.UTC(2026, 10, 21, 12);
export const GRID = 'test';
export const NODE_ID = 'aa'.repeat(32);
export const OFFER_ID = 'bb'.repeat(32);
export const PRICES: Prices = {
  computeHourMicros: 12_000,
  storageHourMicros: 800,
  networkMicros: 50_000,
};

export type Person = {
  readonly keys: SecretKeys;
  readonly document: Envelope;
  readonly id: string;
};

/** Somebody with keys and a document, ready to sign. */
export function makePerson(name: string): Person {
  const keys = makeSecretKeys();
  const document = signIdentity(name, keys);
  return { keys, document, id: verifyIdentity(document).id };
}

/** A good first version of a contract: one znet and one container of 64 MiB. */
export function makeContract(
  tenant: Pick<Person, 'id'>,
  changes: Partial<Contract> = {},
): Contract {
  return {
    grid: GRID,
    id: null,
    version: 1,
    previous: null,
    tenant: tenant.id,
    node: NODE_ID,
    offer: OFFER_ID,
    nonce: '0123456789abcdef'.repeat(2),
    notBeforeMs: NOW_MS - HOUR_MS,
    notAfterMs: NOW_MS + HOUR_MS,
    requires: 'unverified',
    price: PRICES,
    resources: { cpuMillis: 500, memoryBytes: 64 * MiB, ssdBytes: 8 * MiB, hddBytes: 0 },
    body: null,
    workloads: [
      { kind: 'znet', name: 'net', peers: [{ node: 'cc'.repeat(32) }] },
      {
        kind: 'container',
        name: 'web',
        image: {
          sha256: 'dd'.repeat(32),
          lengthBytes: 8 * MiB,
          sources: ['http://mirror.test/web'],
        },
        args: ['/bin/web'],
        env: {},
        secrets: [],
        uid: 65534,
        cpuMillis: 500,
        memoryBytes: 64 * MiB,
        pidsMax: 64,
        znet: 'net',
        hosts: [],
      },
    ],
    ...changes,
  };
}

/** A contract signed by its tenant, as a directory carries it. */
export function carry(tenant: Person, contract: Contract): CarriedContract {
  return { contract: signContract(contract, tenant.keys.signing), tenant: tenant.document };
}

/** What the node of `makeContract` knows: an empty node with room. */
export function makeKnowledge(changes: Partial<NodeKnowledge> = {}): NodeKnowledge {
  return {
    grid: GRID,
    node: NODE_ID,
    nowMs: NOW_MS,
    offers: new Map([[OFFER_ID, PRICES]]),
    total: { cpuMillis: 4000, memoryBytes: 2 * GiB, ssdBytes: 10 * GiB, hddBytes: 0 },
    usedByOthers: NO_RESOURCES,
    held: undefined,
    isCancelled: false,
    class: 'unverified',
    record: 'own',
    opens: OPENS_ELSEWHERE,
    ...changes,
  };
}
