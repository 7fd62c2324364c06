import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contractDigest, signCancellation } from '../../src/contract/sign.ts';
import type { Contract } from '../../src/contract/spec.ts';
import {
  type CarriedContract,
  type NodeKnowledge,
  verifyCancellation,
  verifyContract,
} from '../../src/contract/verify.ts';
import { preAuthenticationEncoding, signEnvelope } from '../../src/identity/envelope.ts';
import { signMessage } from '../../src/identity/ed25519.ts';
import { keyIdOf } from '../../src/identity/keys.ts';
import { fromBase64, textOf, toBase64, utf8 } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { GiB, HOUR_MS } from '../../src/lib/units.ts';
import {
  carry,
  GRID,
  makeContract,
  makeKnowledge,
  makePerson,
  NOW_MS,
  PRICES,
} from '../support/contracts.ts';

const tenant = makePerson('tenant');
const stranger = makePerson('stranger');
const first = makeContract(tenant);
const good = carry(tenant, first);
const digest = contractDigest(good.contract);

function verdict(carried: CarriedContract, changes: Partial<NodeKnowledge> = {}): string {
  try {
    verifyContract(carried, () => makeKnowledge(changes), GRID);
    return 'verified';
  } catch (error) {
    return codeOf(error);
  }
}

/** Signs whatever text it is given, as a hostile tenant can. */
function carryText(text: string): CarriedContract {
  const { payloadType } = good.contract;
  const payload = utf8(text);
  const covered = preAuthenticationEncoding(payloadType, payload);
  const { publicKey, secretKey } = tenant.keys.signing;
  const sig = toBase64(signMessage(covered, secretKey));
  const signatures = [{ keyid: keyIdOf(publicKey), sig }];
  return {
    contract: { payloadType, payload: toBase64(payload), signatures },
    tenant: tenant.document,
  };
}

function signedWith(changes: Partial<Contract> | Record<string, unknown>): CarriedContract {
  return carryText(JSON.stringify({ ...first, ...changes }));
}

const text = JSON.stringify(first);
const version2 = { id: digest, version: 2, previous: digest };

const REFUSED: [string, CarriedContract, Partial<NodeKnowledge>, string][] = [
  ['1 another kind of envelope', wrongKind(), {}, 'ENVELOPE_TYPE'],
  ['2 a document whose keys did not sign it', brokenDocument(), {}, 'ENVELOPE_UNTRUSTED'],
  [
    '3 signed by somebody else',
    { ...good, contract: carry(stranger, first).contract },
    {},
    'ENVELOPE_UNTRUSTED',
  ],
  ['3 unsigned', unsigned(), {}, 'ENVELOPE_UNTRUSTED'],
  ['4 not JSON', carryText('{'), {}, 'JSON_SYNTAX'],
  ['4 a key twice', carryText(text.replace('{', '{"version":1,')), {}, 'JSON_DUPLICATE_KEY'],
  ['4 nested too deep', carryText('['.repeat(40) + ']'.repeat(40)), {}, 'JSON_TOO_DEEP'],
  ['4 an unknown key', signedWith({ surprise: 1 }), {}, 'ENVELOPE_MALFORMED'],
  ['4 a first version with an id', signedWith({ id: digest }), {}, 'ENVELOPE_MALFORMED'],
  ['4 ends before it begins', signedWith({ notAfterMs: 1 }), {}, 'ENVELOPE_MALFORMED'],
  [
    '4 takes more than it reserves',
    signedWith({ resources: { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 } }),
    {},
    'ENVELOPE_MALFORMED',
  ],
  ['5 names another tenant', signedWith({ tenant: stranger.id }), {}, 'TENANT_MISMATCH'],
  ['6 another grid', signedWith({ grid: 'other' }), {}, 'GRID_FOREIGN'],
  ['7 another node', signedWith({ node: 'ee'.repeat(32) }), {}, 'NODE_FOREIGN'],
  ['9 cancelled', good, { isCancelled: true }, 'CONTRACT_CANCELLED'],
  [
    '10 replayed after a later version',
    good,
    { held: { tenant: tenant.id, version: 2, digest: 'ff'.repeat(32) } },
    'VERSION_OLD',
  ],
  [
    '10 a second version 1',
    good,
    { held: { tenant: tenant.id, version: 1, digest: 'ff'.repeat(32) } },
    'VERSION_FORKED',
  ],
  ['10 a version out of nothing', carry(tenant, { ...first, ...version2 }), {}, 'VERSION_GAP'],
  [
    '10 a version out of another',
    carry(tenant, { ...first, ...version2 }),
    { held: { tenant: tenant.id, version: 1, digest: 'ff'.repeat(32) } },
    'VERSION_GAP',
  ],
  [
    "10 the next version of somebody else's contract",
    carry(stranger, { ...first, ...version2, tenant: stranger.id }),
    { held: { tenant: tenant.id, version: 1, digest } },
    'TENANT_MISMATCH',
  ],
  ['11 not yet', good, { nowMs: first.notBeforeMs - 1 }, 'TOO_EARLY'],
  ['11 over', good, { nowMs: first.notAfterMs }, 'EXPIRED'],
  ['12 an offer that the node does not make', good, { offers: new Map() }, 'OFFER_STALE'],
  [
    '12 other prices than the offer asks',
    signedWith({ price: { ...PRICES, networkMicros: 1 } }),
    {},
    'PRICE_OTHER',
  ],
  [
    '13 no room',
    good,
    { usedByOthers: { cpuMillis: 0, memoryBytes: 2 * GiB, ssdBytes: 0, hddBytes: 0 } },
    'NO_ROOM',
  ],
  [
    '14 a class that the node does not have',
    signedWith({ requires: 'attested' }),
    { class: 'verified' },
    'CLASS_TOO_LOW',
  ],
  [
    '14 a class that a node which holds it does not have any more',
    carry(tenant, { ...first, requires: 'verified' }),
    { class: 'loader-verified', held: heldOf({ ...first, requires: 'verified' }) },
    'CLASS_TOO_LOW',
  ],
];

function heldOf(contract: Contract): NodeKnowledge['held'] {
  const { contract: envelope } = carry(tenant, contract);
  return { tenant: tenant.id, version: 1, digest: contractDigest(envelope) };
}

function wrongKind(): CarriedContract {
  return { ...good, contract: signEnvelope('offer', first, tenant.keys.signing) };
}

function unsigned(): CarriedContract {
  const signatures = good.contract.signatures.map(({ keyid }) => ({ keyid, sig: '' }));
  return { ...good, contract: { ...good.contract, signatures } };
}

function brokenDocument(): CarriedContract {
  const document = textOf(fromBase64(tenant.document.payload) ?? new Uint8Array());
  const payload = toBase64(utf8(document.replace('"tenant"', '"tenanu"')));
  return { ...good, tenant: { ...tenant.document, payload } };
}

test('a good contract is verified', () => {
  expect(verdict(good)).toBe('verified');
});

test.each(REFUSED)('check %s', (...[, carried, changes, code]) => {
  expect(verdict(carried, changes)).toBe(code);
});

test.each([
  ['attested', 'attested'],
  ['verified', 'attested'],
  ['loader-verified', 'verified'],
  ['unverified', 'unverified'],
] as const)('what requires %s runs on a node of class %s', (requires, nodeClass) => {
  const carried = carry(tenant, { ...first, requires });
  expect(verdict(carried, { class: nodeClass })).toBe('verified');
});

test('the version that is held is verified again, whatever became of its offer or the room', () => {
  const held = { tenant: tenant.id, version: 1, digest };
  expect(verdict(good, { held, offers: new Map() })).toBe('verified');
});

test('the next version grows out of the one that is held, and keeps its id', () => {
  const next = carry(tenant, { ...first, ...version2, notAfterMs: NOW_MS + 2 * HOUR_MS });
  const held = { tenant: tenant.id, version: 1, digest };
  const contract = verifyContract(next, () => makeKnowledge({ held }), GRID);
  expect(contract.id).toBe(digest);
  expect(contract.version).toBe(2);
});

test('no room is said with numbers', () => {
  const usedByOthers = { cpuMillis: 0, memoryBytes: 2 * GiB, ssdBytes: 0, hddBytes: 0 };
  expect(() => verifyContract(good, () => makeKnowledge({ usedByOthers }), GRID)).toThrow(
    'It asks for 64.0 MiB of memory and 0 B are free; ask for less or choose another node.',
  );
});

test('one flipped bit anywhere in payload or signature is refused', () => {
  const payload = fromBase64(good.contract.payload) ?? new Uint8Array();
  const [signature] = good.contract.signatures;
  const sig = fromBase64(signature?.sig ?? '') ?? new Uint8Array();
  fc.assert(
    fc.property(fc.boolean(), fc.nat(), fc.nat(7), (inPayload, at, bit) => {
      const bytes = Uint8Array.from(inPayload ? payload : sig);
      const index = at % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
      const contract = inPayload
        ? { ...good.contract, payload: toBase64(bytes) }
        : {
            ...good.contract,
            signatures: [{ keyid: signature?.keyid ?? '', sig: toBase64(bytes) }],
          };
      expect(verdict({ ...good, contract })).toBe('ENVELOPE_UNTRUSTED');
    }),
  );
});

test('only its own tenant cancels a contract', () => {
  const wish = { grid: GRID, contract: digest, tenant: tenant.id, node: first.node, atMs: NOW_MS };
  const cancellation = signCancellation(wish, tenant.keys.signing);
  expect(verifyCancellation({ cancellation, tenant: tenant.document }, GRID).contract).toBe(digest);
  const forged = signCancellation(wish, stranger.keys.signing);
  expect(() => verifyCancellation({ cancellation: forged, tenant: tenant.document }, GRID)).toThrow(
    '0 valid',
  );
  expect(() =>
    verifyCancellation({ cancellation: forged, tenant: stranger.document }, GRID),
  ).toThrow('another tenant');
});
