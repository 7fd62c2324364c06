import { NO_RESOURCES } from '../../../src/capacity/spec.ts';
import { signContract } from '../../../src/contract/sign.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import { type Envelope, payloadTypeOf } from '../../../src/identity/envelope.ts';
import { fromBase64, sha256Hex, toBase64 } from '../../../src/lib/bytes.ts';
import { GiB } from '../../../src/lib/units.ts';
import type { NoteSigner } from '../../../src/record/note.ts';
import { GRID, NODE_ID, NOW_MS, OFFER_ID, PRICES } from '../contracts.ts';
import { History } from '../hostile/history.ts';
import { LOG, vkeyOf, WITNESSES } from '../record/signers.ts';
import { keysOf, personOf, plainContract } from './parts.ts';
import type { Known, Vector } from './vector.ts';

export const TENANT = personOf('tenant');
export const STRANGER = personOf('stranger');
export const NODE_KEYS = keysOf('node');

/** What a node trusts that believes this log where two of the three witnesses saw it. */
export const policyWith = (log: NoteSigner): string =>
  [
    `log ${vkeyOf(log, 'ed25519')}`,
    ...WITNESSES.map((witness, at) => `witness w${at + 1} ${vkeyOf(witness, 'cosignature-v1')}`),
    'group two-of-three 2 w1 w2 w3',
    'quorum two-of-three',
    '',
  ].join('\n');

/** An empty node with room. */
export const NODE: Known = {
  id: NODE_ID,
  nowMs: NOW_MS,
  offers: { [OFFER_ID]: PRICES },
  total: { cpuMillis: 4000, memoryBytes: 2 * GiB, ssdBytes: 10 * GiB, hddBytes: 0 },
  usedByOthers: NO_RESOURCES,
  held: null,
  isCancelled: false,
  class: 'unverified',
  sealingSecret: toBase64(NODE_KEYS.sealing.secretKey),
  policy: policyWith(LOG),
};

/** The contract that others are variations of, and the hash by which they name it. */
export const FIRST = plainContract(TENANT);
export const FIRST_DIGEST = digestOf(signContract(FIRST, TENANT.keys.signing));

/** The SHA-256 of the payload. */
export function digestOf({ payload }: Envelope): string {
  return sha256Hex(fromBase64(payload) ?? new Uint8Array());
}

/** A contract that its tenant signed as it should be. */
export function signed(changes: Partial<Contract> = {}): Envelope {
  return signContract({ ...FIRST, ...changes }, TENANT.keys.signing);
}

type Place = {
  /** Of whom the entry says that it is. */
  readonly to?: { readonly node: string; readonly seq: number };
  readonly digest?: string;
  readonly witnesses?: readonly NoteSigner[];
};

const proofs = new Map<string, string>();

/** The proof of a contract's entry among others, witnessed by all three unless told. */
export function proofOf(contract: Envelope, place: Place = {}): string {
  const { to = { node: NODE_ID, seq: 1 }, digest = digestOf(contract), witnesses } = place;
  const key = JSON.stringify([to, digest, witnesses?.map(({ name }) => name)]);
  const known = proofs.get(key);
  if (known !== undefined) return known;
  const payloadType = payloadTypeOf('contract');
  const history = new History();
  for (const other of ['00', '11', '22']) {
    history.add({ payloadType, digest: other.repeat(32), to: { node: other.repeat(32), seq: 1 } });
  }
  const index = history.add({ payloadType, digest, to });
  const proof = history.proof(index, history.size, witnesses);
  proofs.set(key, proof);
  return proof;
}

export type Case = {
  readonly contract: Envelope | string;
  /** The code of the refusal; it is good without. */
  readonly expect?: string;
  readonly node?: Partial<Known>;
} & Partial<Pick<Vector, 'tenant' | 'body' | 'seq' | 'proof' | 'spacesBefore'>>;

/** A vector from what is different in it. */
export function vectorOf(check: number, reason: string, given: Case): Vector {
  const { contract, expect = 'verified', node = {}, ...over } = given;
  const isText = typeof contract === 'string';
  return {
    check,
    is: expect === 'verified' ? 'good' : 'bad',
    reason,
    expect,
    grid: GRID,
    contract: isText ? contract : JSON.stringify(contract),
    tenant: TENANT.document,
    seq: 1,
    proof: isText ? null : proofOf(contract),
    ...over,
    node: { ...NODE, ...node },
  };
}
