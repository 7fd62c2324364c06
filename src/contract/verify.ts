import type { Prices } from '../capacity/price.ts';
import type { NodeClass, Resources } from '../capacity/spec.ts';
import type { IdentityBundle } from '../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../identity/document.ts';
import { type Envelope, openEnvelope, parsePayload, payloadTypeOf } from '../identity/envelope.ts';
import { sha256Hex } from '../lib/bytes.ts';
import type { Policy } from '../record/policy.ts';
import { type Body, type Opens, readBody } from './checks/body.ts';
import { ContractError } from './checks/error.ts';
import {
  refuseChangedVolumes,
  refuseLowClass,
  refuseNoRoom,
  refuseOutOfTime,
  refuseStaleOffer,
  refuseUnreadable,
} from './checks/refusals.ts';
import { type CarriedPlace, verifyPlace } from './record/place.ts';
import {
  type Cancellation,
  cancellationSchema,
  type Contract,
  contractSchema,
  type Erasure,
  erasureSchema,
  type Workload,
} from './spec.ts';

export { ContractError };

declare const signed: unique symbol;
/** A contract whose signatures, form, tenant and grid hold; not yet good for any node. */
export type SignedContract = Omit<Contract, 'id'> & {
  /** The SHA-256 of version 1's payload, in every version. */
  readonly id: string;
  /** The SHA-256 of this version's payload. */
  readonly digest: string;
  readonly signers: Identity;
  /** Its private body, where it came with one: it is the one that is named. */
  readonly private: Body | null;
} & { readonly [signed]: true };

declare const verified: unique symbol;
/** A contract that passed every check in `verifyContract`; nothing else can make one. */
export type VerifiedContract = SignedContract & { readonly [verified]: true };

/** `own` is for whoever keeps the record: what it admits gets its place there. */
export type RecordKnowledge = 'own' | (CarriedPlace & { readonly policy: Policy });

export type CarriedContract = {
  readonly contract: Envelope;
  readonly tenant: IdentityBundle;
  readonly body?: string | undefined;
};

/** What a node knows for certain when it judges a contract. */
export type NodeKnowledge = {
  readonly grid: string;
  readonly node: string;
  readonly nowMs: number;
  /** Prices by SHA-256 of every offer payload that this node signed and still stands by. */
  readonly offers: ReadonlyMap<string, Prices>;
  /** What this node has to give in all, and what its other contracts hold of it. */
  readonly total: Resources;
  readonly usedByOthers: Resources;
  /** The version of this contract that the node holds. */
  readonly held:
    | (Pick<SignedContract, 'tenant' | 'version' | 'digest'> & {
        /** Who does not have them leaves it to the node to compare. */
        readonly workloads?: readonly Workload[];
      })
    | undefined;
  readonly isCancelled: boolean;
  /** Whose record counts, and where on it this version is said to stand. */
  readonly record: RecordKnowledge;
  /** What the node's boot proved: to itself, or, when somebody else judges, to them. */
  readonly class: NodeClass;
  /** Whether what is sealed opens with this node's key. */
  readonly opens: Opens;
  /** It was here once, and comes again: nothing that needs it starts before. */
  readonly isBodyLate?: boolean;
};

/** Checks 1 to 6: everything that can be said of a contract without being its node. */
export function verifySignedContract(carried: CarriedContract, grid: string): SignedContract {
  // 1, 2: the envelope is a contract's; the tenant's document is what its own hash and keys say.
  const signers = verifyIdentity(carried.tenant);
  // 3: enough of the tenant's keys signed exactly these bytes. Only now are they read.
  const payload = openEnvelope(carried.contract, 'contract', signers.keys);
  // 4: strict JSON of the known form, no key twice or unknown, consistent in itself.
  const contract = parsePayload(payload, contractSchema);
  // 5, 6: it speaks for the tenant who signed, on this grid.
  refuseForeignTenant(contract, signers);
  refuseForeignGrid(contract, grid);
  const digest = sha256Hex(payload);
  // 15: what comes beside it is what it names.
  const body = carried.body === undefined ? null : readBody(carried.body, contract.body);
  const known = { id: contract.id ?? digest, digest, signers, private: body };
  return { ...contract, ...known } as unknown as SignedContract;
}

/**
 * The only way to a `VerifiedContract`: the numbered checks of the README, in their order.
 * Throws `ContractError`, `RecordError`, `IdentityError`, `EnvelopeError` or `JsonError`; nothing
 * has changed then.
 */
export function verifyContract(
  carried: CarriedContract,
  know: (contract: SignedContract) => NodeKnowledge,
  grid: string,
): VerifiedContract {
  const contract = verifySignedContract(carried, grid);
  return judgeContract(contract, know(contract));
}

/**
 * Checks 7 to 14, against what is known here and now. A directory asks them too, from what it has
 * on its books, so that a tenant hears early what its node would say. Throws `ContractError`, or
 * `RecordError` for a place on the record that is none.
 */
export function judgeContract(
  contract: SignedContract,
  knowledge: NodeKnowledge,
): VerifiedContract {
  // 7: it is addressed to this node.
  if (contract.node !== knowledge.node) {
    throw new ContractError('NODE_FOREIGN', 'This contract is for another node; send it there.');
  }
  // 8: it stands on the record that everybody sees, as this node's entry of that number.
  refuseUnrecorded(contract, knowledge);
  // 9: nobody ended it.
  if (knowledge.isCancelled) {
    throw new ContractError(
      'CONTRACT_CANCELLED',
      'Its tenant cancelled this contract; sign another.',
    );
  }
  // 10: it is newer than what the node holds, and grows out of it.
  const isHeld = refuseOldVersion(contract, knowledge);
  refuseChangedVolumes(contract, knowledge.held?.workloads);
  // 11: its time has come and not gone.
  refuseOutOfTime(contract, knowledge);
  // 14: the node's boot is as good as it has to be; what is held starts on no worse one either.
  refuseLowClass(contract, knowledge);
  // What the node holds already has its room; an offer that changed since takes nothing back.
  if (!isHeld) {
    // 12: it builds on an offer that this node made, at its prices.
    refuseStaleOffer(contract, knowledge);
    // 13: the node has the room.
    refuseNoRoom(contract, knowledge);
  }
  // 15: its private body is here, and what is sealed in it was sealed to this node for it.
  refuseUnreadable(contract, knowledge);
  return contract as VerifiedContract;
}

export type CarriedCancellation = {
  readonly cancellation: Envelope;
  readonly tenant: IdentityBundle;
};

/** A cancellation whose signatures, form, tenant and grid hold. */
export type SignedCancellation = Cancellation & { readonly signers: Identity };

/** A cancellation by the tenant of the contract it names; throws as `verifyContract` does. */
export function verifyCancellation(carried: CarriedCancellation, grid: string): SignedCancellation {
  const cancellation = verifySignedCancellation(carried);
  refuseForeignGrid(cancellation, grid);
  return cancellation;
}

/** A cancellation on whatever grid, for who carries it there. Throws as `verifyContract` does. */
export function verifySignedCancellation(carried: CarriedCancellation): SignedCancellation {
  const signers = verifyIdentity(carried.tenant);
  const payload = openEnvelope(carried.cancellation, 'cancellation', signers.keys);
  const cancellation = parsePayload(payload, cancellationSchema);
  refuseForeignTenant(cancellation, signers);
  return { ...cancellation, signers };
}

/** An erasure whose signatures, form, tenant and grid hold. */
export type SignedErasure = Erasure & { readonly signers: Identity };

/** An erasure by the tenant that it names; throws as `verifyContract` does. */
export function verifyErasure(
  carried: { readonly erasure: Envelope; readonly tenant: IdentityBundle },
  grid: string,
): SignedErasure {
  const signers = verifyIdentity(carried.tenant);
  const payload = openEnvelope(carried.erasure, 'erasure', signers.keys);
  const erasure = parsePayload(payload, erasureSchema);
  refuseForeignTenant(erasure, signers);
  refuseForeignGrid(erasure, grid);
  return { ...erasure, signers };
}

function refuseForeignTenant({ tenant }: { readonly tenant: string }, signers: Identity): void {
  if (tenant === signers.id) return;
  const sentence = 'It names another tenant than the one who signed it.';
  throw new ContractError('TENANT_MISMATCH', sentence);
}

function refuseForeignGrid(said: { readonly grid: string }, grid: string): void {
  if (said.grid === grid) return;
  throw new ContractError('GRID_FOREIGN', `It is for the grid ${said.grid}; here is ${grid}.`);
}

function refuseUnrecorded(contract: SignedContract, { record }: NodeKnowledge): void {
  if (record === 'own') return;
  const { policy, seq, proof } = record;
  const { digest, node } = contract;
  if (seq === undefined || proof === undefined || proof === null) {
    const sentence = 'No proof came with it that it is on the record; ask for it once more later.';
    throw new ContractError('NOT_RECORDED', sentence);
  }
  const payloadType = payloadTypeOf('contract');
  verifyPlace({ payloadType, digest, to: { node, seq } }, proof, policy);
}

/** Says whether it is the very version that the node holds. */
function refuseOldVersion(contract: SignedContract, { held }: NodeKnowledge): boolean {
  if (held === undefined) {
    if (contract.version === 1) return false;
    throw new ContractError(
      'VERSION_GAP',
      `This is version ${contract.version} and the node holds none; send version 1 first.`,
    );
  }
  // Ids and digests are public: without this anybody could sign the next version of anything.
  if (contract.tenant !== held.tenant) {
    throw new ContractError('TENANT_MISMATCH', 'The contract that it grows out of is not theirs.');
  }
  if (contract.digest === held.digest) return true;
  if (contract.version < held.version) {
    throw new ContractError(
      'VERSION_OLD',
      `This is version ${contract.version}; the node holds ${held.version}.`,
    );
  }
  if (contract.version === held.version) {
    throw new ContractError(
      'VERSION_FORKED',
      `Another version ${contract.version} was accepted before; sign the next one.`,
    );
  }
  if (contract.version !== held.version + 1 || contract.previous !== held.digest) {
    throw new ContractError(
      'VERSION_GAP',
      `Version ${contract.version} does not grow out of version ${held.version}, which is held.`,
    );
  }
  return false;
}
