import type { NodeClass, Resources } from '../capacity/spec.ts';
import type { Prices } from '../capacity/price.ts';
import { OPENS_ELSEWHERE } from '../contract/checks/body.ts';
import { judgeContract, type SignedContract } from '../contract/verify.ts';
import { MiB } from '../lib/units.ts';
import { RefusedError } from './errors.ts';
import { isOver, type Life } from './life.ts';

/** The most that one node's live contracts, and one tenant's on one node, may be. */
export const NODE_CONTRACTS_MAX = 1000;
export const TENANT_NODE_CONTRACTS_MAX = 128;
/** The most that the envelopes of one node's contracts may be, so that its feed stays bounded. */
export const NODE_ENVELOPES_BYTES_MAX = 4 * MiB;

/** Everything on the books that decides whether a contract is admitted, read in one transaction. */
export type Books = {
  readonly nowMs: number;
  readonly node:
    | {
        readonly id: string;
        readonly isJoined: boolean;
        readonly offerId: string;
        readonly prices: Prices;
        /** Whether it asks by its farmer's newest terms; until it does, it is no offer. */
        readonly isAsking: boolean;
        readonly total: Resources;
        /** What all other contracts have booked of this node. */
        readonly usedByOthers: Resources;
        /** What it proved, or says where that is enough. */
        readonly class: NodeClass;
        /** Contracts on it and cancellations for it, of everybody and of this tenant. */
        readonly contractCount: number;
        readonly tenantContractCount: number;
        readonly envelopesBytes: number;
      }
    | undefined;
  readonly contract:
    | { readonly tenant: string; readonly node: string; readonly life: Life }
    | undefined;
  /** Whether these very bytes were admitted before. */
  readonly wasHere: boolean;
};

/**
 * What becomes of a signed contract: `append` it, or it is on the books already (`known`), as when
 * an answer was lost and the tenant sends again. Throws `ContractError` or `RefusedError`.
 */
export function decideAdmission(
  contract: SignedContract,
  lengthBytes: number,
  books: Books,
): 'append' | 'known' {
  const { node, contract: before } = books;
  if (node === undefined) {
    throw new RefusedError('NODE_UNKNOWN', 'No such node has registered; choose another.');
  }
  if (before !== undefined) refuseOver(before.life);
  const newest = before?.life.pending ?? before?.life.held ?? undefined;
  judgeContract(contract, {
    grid: contract.grid,
    node: before?.node ?? node.id,
    nowMs: books.nowMs,
    offers: new Map(node.isAsking ? [[node.offerId, node.prices]] : []),
    total: node.total,
    usedByOthers: node.usedByOthers,
    held: before && newest && { tenant: before.tenant, ...newest },
    isCancelled: before?.life.isCancelled === true,
    class: node.class,
    record: 'own',
    opens: OPENS_ELSEWHERE,
  });
  if (newest?.digest === contract.digest) return 'known';
  if (books.wasHere) {
    throw new RefusedError(
      'VERSION_DROPPED',
      `The node did not take version ${contract.version}; sign another with a new nonce.`,
    );
  }
  if (before?.life.pending) {
    const { version } = before.life.pending;
    throw new RefusedError(
      'VERSION_PENDING',
      `The node has not answered version ${version} yet; send the next in a moment.`,
    );
  }
  if (!node.isJoined) {
    throw new RefusedError('NODE_WAITING', 'This node waits for its farmer; choose another.');
  }
  refuseCrowd(node, lengthBytes, before === undefined);
  return 'append';
}

/** What is over never comes back by sending it again: envelopes are public, so anybody could. */
function refuseOver(life: Life): void {
  if (!isOver(life)) return;
  throw new RefusedError('CONTRACT_OVER', `This contract is ${life.state}; sign a new one.`);
}

function refuseCrowd(node: NonNullable<Books['node']>, lengthBytes: number, isNew: boolean): void {
  const isCrowded =
    node.envelopesBytes + lengthBytes > NODE_ENVELOPES_BYTES_MAX ||
    (isNew && node.contractCount >= NODE_CONTRACTS_MAX) ||
    (isNew && node.tenantContractCount >= TENANT_NODE_CONTRACTS_MAX);
  if (!isCrowded) return;
  throw new RefusedError(
    'NODE_CROWDED',
    `This node has ${node.contractCount} contracts, ${node.tenantContractCount} of them yours, ` +
      'and takes no more; choose another.',
  );
}
