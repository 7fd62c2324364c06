import { NODE_CLASSES } from '../../../src/capacity/spec.ts';
import { encodeBody, sealSecret, secretKey } from '../../../src/contract/checks/body.ts';
import { signContract } from '../../../src/contract/sign.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { GiB } from '../../../src/lib/units.ts';
import { GRID, NODE_ID, OFFER_ID, PRICES } from '../contracts.ts';
import { signerOf, WITNESSES } from '../record/signers.ts';
import { keysOf, plainContract } from './parts.ts';
import type { Known, Vector } from './vector.ts';
import {
  type Case,
  digestOf,
  FIRST,
  FIRST_DIGEST,
  NODE,
  NODE_KEYS,
  policyWith,
  proofOf,
  signed,
  STRANGER,
  TENANT,
  vectorOf,
} from './vectors.ts';

const GOOD = signed();
const OTHER = 'ee'.repeat(32);
const NEXT = { id: FIRST_DIGEST, version: 2, previous: FIRST_DIGEST };

/** Checks 7 to 15: what only the node itself can say. */
export function judgedVectors(): Vector[] {
  const cases: Readonly<Record<number, Readonly<Record<string, Case>>>> = {
    7: {
      'this-node': { contract: GOOD },
      'another-node': { contract: signed({ node: OTHER }), expect: 'NODE_FOREIGN' },
    },
    8: recordCases(),
    9: {
      'not-cancelled': { contract: GOOD },
      cancelled: { contract: GOOD, node: { isCancelled: true }, expect: 'CONTRACT_CANCELLED' },
    },
    10: versionCases(),
    11: {
      'first-moment': { contract: GOOD, node: { nowMs: FIRST.notBeforeMs } },
      'last-moment': { contract: GOOD, node: { nowMs: FIRST.notAfterMs - 1 } },
      'not-yet-valid': {
        contract: GOOD,
        node: { nowMs: FIRST.notBeforeMs - 1 },
        expect: 'TOO_EARLY',
      },
      expired: { contract: GOOD, node: { nowMs: FIRST.notAfterMs }, expect: 'EXPIRED' },
    },
    12: offerCases(),
    13: roomCases(),
    14: classCases(),
    15: bodyCases(),
  };
  return Object.entries(cases).flatMap(([check, rows]) =>
    Object.entries(rows).map(([reason, given]) => vectorOf(Number(check), reason, given)),
  );
}

function recordCases(): Record<string, Case> {
  const [first, second] = WITNESSES;
  const unknown = ['a', 'b', 'c'].map((name, at) => signerOf(`${name}.example/witness`, 40 + at));
  const by = (witnesses: typeof unknown): string => proofOf(GOOD, { witnesses });
  const two = [first, second].filter((witness) => witness !== undefined);
  const contract = GOOD;
  return {
    'three-witnesses': { contract },
    'two-witnesses': { contract, proof: by(two) },
    'no-proof': { contract, proof: null, expect: 'NOT_RECORDED' },
    'no-number': { contract, seq: null, expect: 'NOT_RECORDED' },
    'proof-not-a-proof': { contract, proof: 'AAAA', expect: 'PROOF_MALFORMED' },
    'too-few-witnesses': { contract, proof: by(two.slice(0, 1)), expect: 'QUORUM_MISSING' },
    'one-witness-twice': {
      contract,
      proof: by([...two.slice(0, 1), ...two.slice(0, 1)]),
      expect: 'QUORUM_MISSING',
    },
    'unknown-witnesses': { contract, proof: by(unknown), expect: 'QUORUM_MISSING' },
    'another-log': {
      contract,
      node: { policy: policyWith(signerOf('b.example/record', 9)) },
      expect: 'UNTRUSTED',
    },
    'proof-of-another-entry': {
      contract,
      proof: proofOf(GOOD, { digest: OTHER }),
      expect: 'INCLUSION_INVALID',
    },
    'entry-for-another-node': {
      contract,
      proof: proofOf(GOOD, { to: { node: OTHER, seq: 1 } }),
      expect: 'INCLUSION_INVALID',
    },
    'entry-of-another-number': { contract, seq: 2, expect: 'INCLUSION_INVALID' },
  };
}

function versionCases(): Record<string, Case> {
  const tenant = TENANT.id;
  const next = signed(NEXT);
  const holding = (version: number, digest: string): Partial<Known> => ({
    held: { tenant, version, digest },
  });
  const theirs = plainContract(STRANGER, NEXT);
  return {
    'first-version': { contract: GOOD },
    'next-version': { contract: next, node: holding(1, FIRST_DIGEST) },
    'version-that-is-held': { contract: GOOD, node: holding(1, FIRST_DIGEST) },
    'older-version': {
      contract: signed({ ...NEXT, version: 2 }),
      node: holding(3, OTHER),
      expect: 'VERSION_OLD',
    },
    replayed: { contract: GOOD, node: holding(2, digestOf(next)), expect: 'VERSION_OLD' },
    'second-first-version': { contract: GOOD, node: holding(1, OTHER), expect: 'VERSION_FORKED' },
    'second-version-of-nothing': { contract: next, expect: 'VERSION_GAP' },
    'version-left-out': {
      contract: signed({ ...NEXT, version: 3 }),
      node: holding(1, FIRST_DIGEST),
      expect: 'VERSION_GAP',
    },
    'grows-out-of-another': {
      contract: signed({ ...NEXT, previous: OTHER }),
      node: holding(1, FIRST_DIGEST),
      expect: 'VERSION_GAP',
    },
    'next-of-another-tenants': {
      contract: signContract(theirs, STRANGER.keys.signing),
      tenant: STRANGER.document,
      node: holding(1, FIRST_DIGEST),
      expect: 'TENANT_MISMATCH',
    },
  };
}

function offerCases(): Record<string, Case> {
  const held = { tenant: TENANT.id, version: 1, digest: FIRST_DIGEST };
  const price = { ...PRICES, networkMicros: PRICES.networkMicros - 1 };
  return {
    'the-offer-and-its-prices': { contract: GOOD },
    'held-after-the-offer-changed': { contract: GOOD, node: { held, offers: {} } },
    'offer-that-is-not-made': { contract: signed({ offer: OTHER }), expect: 'OFFER_STALE' },
    'lower-price-than-the-offer': { contract: signed({ price }), expect: 'PRICE_OTHER' },
    'prices-of-another-offer': {
      contract: signed({ price }),
      node: { offers: { [OFFER_ID]: PRICES, [OTHER]: price } },
      expect: 'PRICE_OTHER',
    },
  };
}

function roomCases(): Record<string, Case> {
  const { resources } = FIRST;
  const used = { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 };
  const total = { ...NODE.total };
  const full = (over: Partial<typeof used>): Case => ({
    contract: GOOD,
    node: { total, usedByOthers: { ...used, ...over } },
    expect: 'NO_ROOM',
  });
  return {
    'fits-exactly': { contract: GOOD, node: { total: resources } },
    'no-memory': full({ memoryBytes: 2 * GiB }),
    'no-processor': full({ cpuMillis: 3501 }),
    'no-storage': full({ ssdBytes: total.ssdBytes, hddBytes: 0 }),
  };
}

function classCases(): Record<string, Case> {
  const cases: Record<string, Case> = {};
  for (const [at, requires] of NODE_CLASSES.entries()) {
    const contract = signed({ requires });
    cases[`${requires}-on-${requires}`] = { contract, node: { class: requires } };
    const lower = NODE_CLASSES[at + 1];
    if (lower === undefined) continue;
    cases[`${requires}-on-${lower}`] = {
      contract,
      node: { class: lower },
      expect: 'CLASS_TOO_LOW',
    };
  }
  const contract = signed({ requires: 'verified' });
  const held = { tenant: TENANT.id, version: 1, digest: digestOf(contract) };
  const node = { held, class: 'unverified' } as const;
  cases['held-on-a-node-that-fell'] = { contract, node, expect: 'CLASS_TOO_LOW' };
  return cases;
}

const PLACE = { grid: GRID, tenant: TENANT.id, node: NODE_ID, container: 'web', name: 'db' };

/** A private body with one secret, sealed for the place and the node that are given. */
function bodyWith(place = PLACE, recipient = NODE_KEYS, key = secretKey(PLACE)) {
  const sealed = sealSecret({
    ...place,
    recipientKey: recipient.sealing.publicKey,
    value: utf8('hunter2'),
    sealerSecret: TENANT.keys.sealing.secretKey,
  });
  return encodeBody({ salt: '5a'.repeat(32), secrets: { [key]: sealed } });
}

function bodyCases(): Record<string, Case> {
  const secretive = FIRST.workloads.map((workload) =>
    workload.kind === 'container'
      ? { ...workload, secrets: [{ name: 'db', env: 'DB' }] }
      : workload,
  );
  const naming = (body: { text: string; digest: string }): Case => ({
    contract: signed({ workloads: secretive, body: body.digest }),
    body: body.text,
  });
  const good = bodyWith();
  const foreign = { expect: 'SECRET_FOREIGN' };
  const copied = plainContract(STRANGER, { workloads: secretive, body: good.digest });
  const { contract } = naming(good);
  return {
    'no-secrets-no-body': { contract: GOOD },
    'sealed-to-this-node': naming(good),
    'body-held-back': { contract, expect: 'BODY_MISSING' },
    'another-body': {
      contract,
      body: bodyWith(PLACE, NODE_KEYS, 'web/x').text,
      expect: 'BODY_OTHER',
    },
    'body-that-is-not-named': { contract: GOOD, body: good.text, expect: 'BODY_OTHER' },
    'sealed-to-another-node': { ...naming(bodyWith(PLACE, keysOf('other'))), ...foreign },
    'sealed-for-another-container': {
      ...naming(bodyWith({ ...PLACE, container: 'db' })),
      ...foreign,
    },
    'secret-left-out': { ...naming(bodyWith(PLACE, NODE_KEYS, 'web/other')), ...foreign },
    'copied-from-another-tenant': {
      contract: signContract(copied, STRANGER.keys.signing),
      tenant: STRANGER.document,
      body: good.text,
      ...foreign,
    },
  };
}
