import { signContract } from '../../../src/contract/sign.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { type Envelope, signEnvelope } from '../../../src/identity/envelope.ts';
import { keyIdOf } from '../../../src/identity/keys.ts';
import {
  concatBytes,
  fromBase64,
  fromHex,
  textOf,
  toBase64,
  toHex,
  utf8,
} from '../../../src/lib/bytes.ts';
import { KiB } from '../../../src/lib/units.ts';
import { documentOf, envelopeOf, keysOf, plainContract } from './parts.ts';
import type { Vector } from './vector.ts';
import { type Case, FIRST, FIRST_DIGEST, signed, STRANGER, TENANT, vectorOf } from './vectors.ts';

const KEY = TENANT.keys.signing;
const GOOD = signed();
const GOOD_TEXT = JSON.stringify(GOOD);
const PAYLOAD = textOf(bytesOf(GOOD.payload));
/** RFC 8032 section 5.1: the order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

function bytesOf(text: string): Uint8Array {
  return fromBase64(text) ?? new Uint8Array();
}

function withSignature(change: (signature: Uint8Array) => Uint8Array): Envelope {
  const signatures = GOOD.signatures.map(({ keyid, sig }) => {
    return { keyid, sig: toBase64(change(Uint8Array.from(bytesOf(sig)))) };
  });
  return { ...GOOD, signatures };
}

/** The same signature with S + L for S: equally true to who does not look (RFC 8032, 5.1.7). */
function malleated(signature: Uint8Array): Uint8Array {
  const hex = toHex(signature.subarray(32).toReversed());
  const moved = (BigInt(`0x${hex}`) + L).toString(16).padStart(64, '0');
  return concatBytes(signature.subarray(0, 32), (fromHex(moved) ?? new Uint8Array()).toReversed());
}

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte));
}

/** Any text as the payload, truly signed by the tenant. */
function carrying(payload: string | Uint8Array): Envelope {
  return envelopeOf(typeof payload === 'string' ? utf8(payload) : payload, [KEY]);
}

function with_(changes: Record<string, unknown>): Envelope {
  return carrying(JSON.stringify({ ...FIRST, ...changes }));
}

/** Checks 1 to 6: what can be said of a contract without being its node. */
export function signedVectors(): Vector[] {
  return [
    ...rows(1, envelopeCases()),
    ...rows(2, identityCases()),
    ...rows(3, signatureCases()),
    ...rows(4, formCases()),
    ...rows(5, [
      ['its-tenant-signed-it', { contract: GOOD }],
      [
        'names-another-tenant',
        { contract: with_({ tenant: STRANGER.id }), expect: 'TENANT_MISMATCH' },
      ],
    ]),
    ...rows(6, [
      ['this-grid', { contract: GOOD }],
      ['another-grid', { contract: with_({ grid: 'other' }), expect: 'GRID_FOREIGN' }],
    ]),
  ];
}

type Row = readonly [reason: string, given: Case];

function rows(check: number, cases: readonly Row[]): Vector[] {
  return cases.map(([reason, given]) => vectorOf(check, reason, given));
}

function envelopeCases(): Row[] {
  const malformed = { expect: 'ENVELOPE_MALFORMED' };
  const offer = signEnvelope('offer', FIRST, KEY);
  const changed = (from: string, to: string) => GOOD_TEXT.replace(from, to);
  return [
    ['plain', { contract: GOOD }],
    ['of-another-kind', { contract: offer, expect: 'ENVELOPE_TYPE' }],
    ['too-big', { contract: GOOD_TEXT, spacesBefore: 512 * KiB, expect: 'JSON_TOO_LONG' }],
    ['too-deep', { contract: '['.repeat(9) + ']'.repeat(9), expect: 'JSON_TOO_DEEP' }],
    ['not-json', { contract: changed('"payload":', 'payload:'), expect: 'JSON_SYNTAX' }],
    ['duplicate-key', { contract: changed('{', '{"payload":"",'), expect: 'JSON_DUPLICATE_KEY' }],
    ['unknown-key', { contract: changed('{', '{"alg":"none",'), ...malformed }],
    ['no-signatures', { contract: { ...GOOD, signatures: [] }, ...malformed }],
    [
      'payload-not-canonical-base64',
      { contract: changed('"payload":"', '"payload":"\\n'), ...malformed },
    ],
  ];
}

function identityCases(): Row[] {
  const [one, two] = [keysOf('one').signing, keysOf('two').signing];
  const both = [one.publicKey, two.publicKey];
  const couple = documentOf({ name: 'couple', signingKeys: both, threshold: 2 }, one, two);
  const half = documentOf({ name: 'couple', signingKeys: both, threshold: 2 }, one);
  const greedy = documentOf({ name: 'couple', signingKeys: both, threshold: 3 }, one, two);
  const payload = textOf(bytesOf(TENANT.document.payload)).replace('"tenant"', '"tenanu"');
  const renamed = { ...TENANT.document, payload: toBase64(utf8(payload)) };
  return [
    ['two-keys-both-needed', by(couple, one, two)],
    [
      'changed-after-it-was-signed',
      { contract: GOOD, tenant: renamed, expect: 'ENVELOPE_UNTRUSTED' },
    ],
    ['signed-by-half-of-its-keys', { contract: GOOD, tenant: half, expect: 'ENVELOPE_UNTRUSTED' }],
    [
      'needs-more-keys-than-it-has',
      { contract: GOOD, tenant: greedy, expect: 'IDENTITY_MALFORMED' },
    ],
    ['small-order-key', smallOrder()],
    ['of-another-kind', { contract: GOOD, tenant: GOOD, expect: 'ENVELOPE_TYPE' }],
  ];
}

/** A contract of whoever this document is of, with true signatures of these keys. */
function by(tenant: Envelope, ...signers: (typeof KEY)[]): Case {
  const { id } = verifyIdentity(tenant);
  return { tenant, contract: signContract({ ...plainContract(TENANT), tenant: id }, ...signers) };
}

/**
 * Everybody can sign for a key of small order: with A and R the neutral point and S zero, the
 * equation of RFC 8032 section 5.1.7 holds for every message.
 */
function smallOrder(): Case {
  const neutral = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 1 : 0));
  const forged = [
    { keyid: keyIdOf(neutral), sig: toBase64(concatBytes(neutral, new Uint8Array(32))) },
  ];
  const content = { name: 'nobody', signingKeys: [neutral], threshold: 1 };
  const tenant = { ...documentOf(content, KEY), signatures: forged };
  return { tenant, contract: { ...GOOD, signatures: forged }, expect: 'ENVELOPE_UNTRUSTED' };
}

function signatureCases(): Row[] {
  const untrusted = { expect: 'ENVELOPE_UNTRUSTED' };
  const [one, two, three] = ['one', 'two', 'three'].map((name) => keysOf(name).signing) as [
    typeof KEY,
    typeof KEY,
    typeof KEY,
  ];
  const signingKeys = [one, two, three].map(({ publicKey }) => publicKey);
  const board = documentOf({ name: 'board', signingKeys, threshold: 2 }, one, two);
  const otherKey = envelopeOf(bytesOf(GOOD.payload), [STRANGER.keys.signing]);
  const hinted = otherKey.signatures.map(({ sig }) => ({ keyid: keyIdOf(KEY.publicKey), sig }));
  const changed = flipped(bytesOf(GOOD.payload));
  return [
    ['one-key', { contract: GOOD }],
    ['two-of-three-keys', by(board, three, one)],
    ['unsigned', { contract: withSignature(() => new Uint8Array()), ...untrusted }],
    ['wrong-signer', { contract: otherKey, ...untrusted }],
    [
      'wrong-signer-under-the-right-hint',
      { contract: { ...GOOD, signatures: hinted }, ...untrusted },
    ],
    ['one-of-two-keys', { ...by(board, two), ...untrusted }],
    ['one-key-twice-for-two', { ...by(board, two, two), ...untrusted }],
    ['malleated', { contract: withSignature(malleated), ...untrusted }],
    ['bit-flipped-in-the-signature', { contract: withSignature(flipped), ...untrusted }],
    [
      'bit-flipped-in-the-payload',
      { contract: { ...GOOD, payload: toBase64(changed) }, ...untrusted },
    ],
    [
      'signature-for-another-kind',
      { contract: envelopeOf(bytesOf(GOOD.payload), [KEY], 'cancellation'), ...untrusted },
    ],
  ];
}

function formCases(): Row[] {
  const malformed = { expect: 'ENVELOPE_MALFORMED' };
  const deep = `${'['.repeat(17)}${']'.repeat(17)}`;
  const [znet, container] = FIRST.workloads;
  const twice = { ...container, secrets: [{ name: 'db', env: 'DB' }], env: { DB: 'x' } };
  return [
    ['plain', { contract: GOOD }],
    ['no-workloads', { contract: with_({ workloads: [] }) }],
    ['not-json', { contract: carrying(PAYLOAD.slice(0, -1)), expect: 'JSON_SYNTAX' }],
    ['not-utf8', { contract: carrying(Uint8Array.of(0x22, 0xff, 0x22)), expect: 'JSON_NOT_UTF8' }],
    ['too-deep', { contract: carrying(deep), expect: 'JSON_TOO_DEEP' }],
    [
      'duplicate-key',
      { contract: carrying(PAYLOAD.replace('{', '{"version":1,')), expect: 'JSON_DUPLICATE_KEY' },
    ],
    ['unknown-key', { contract: with_({ surprise: 1 }), ...malformed }],
    ['unknown-workload', { contract: with_({ workloads: [{ kind: 'shell' }] }), ...malformed }],
    ['missing-key', { contract: with_({ nonce: undefined }), ...malformed }],
    ['first-version-with-an-id', { contract: with_({ id: FIRST_DIGEST }), ...malformed }],
    ['second-version-without-an-id', { contract: with_({ version: 2 }), ...malformed }],
    ['ends-before-it-begins', { contract: with_({ notAfterMs: 1 }), ...malformed }],
    [
      'takes-more-than-it-reserves',
      {
        contract: with_({ resources: { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 } }),
        ...malformed,
      },
    ],
    ['number-not-whole', { contract: with_({ notAfterMs: FIRST.notAfterMs + 0.5 }), ...malformed }],
    [
      'root-in-the-container',
      { contract: with_({ workloads: [znet, { ...container, uid: 0 }] }), ...malformed },
    ],
    [
      'two-values-for-one-variable',
      { contract: with_({ workloads: [znet, twice], body: FIRST_DIGEST }), ...malformed },
    ],
    ['body-for-no-secret', { contract: with_({ body: FIRST_DIGEST }), ...malformed }],
  ];
}
