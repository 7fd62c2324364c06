import { readBody } from '../../contract/checks/body.ts';
import { ContractError, type SignedContract, type SignedErasure } from '../../contract/verify.ts';
import { RefusedError } from '../errors.ts';
import type { Carried } from '../store.ts';
import type { Transaction } from '../database/database.ts';
import { one, run, type Row, type Work } from '../database/work.ts';
import { recordOf } from '../record/append.ts';
import { refuseOld } from '../identity/identities.ts';
import { envelopeOf, textIn } from './rows.ts';

/**
 * Keeps a version's private body for its node. Who can read it here has sealed boxes and no key;
 * who can write it can withhold it, and then the node says that it is missing.
 */
export function* keepBody(contract: SignedContract, body: string | undefined): Work<void> {
  if (contract.body === null || body === undefined) return;
  yield* run(
    `INSERT INTO bodies (version, contract, digest, body, erasure)
     VALUES (:version, :contract, :digest, :body, NULL)`,
    { version: contract.digest, contract: contract.id, digest: contract.body, body },
  );
}

/**
 * A contract with its private body: the one that came with it, or the same one that came with a
 * version before, so that who only renews does not need the secrets again.
 */
export function* withBody(
  contract: SignedContract,
  body: string | undefined,
): Work<{ readonly contract: SignedContract; readonly body: string | undefined }> {
  if (contract.body === null || body !== undefined) return { contract, body };
  const row = yield* one(
    `SELECT body FROM bodies
     WHERE contract = :contract AND digest = :digest AND body IS NOT NULL LIMIT 1`,
    { contract: contract.id, digest: contract.body },
  );
  if (row === undefined) return { contract, body };
  const kept = textIn(row, 'body');
  return { contract: { ...contract, private: readBody(kept, contract.body) }, body: kept };
}

/** How a version's private body stands. */
export type BodyState = 'none' | 'kept' | 'erased';

/** Of a row of `versions` joined with `bodies`: the state, and the tenant's word if it is gone. */
export function bodyIn(row: Row) {
  const erasure = row['erasure'];
  const state: BodyState =
    erasure === null ? (row['body_digest'] === null ? 'none' : 'kept') : 'erased';
  const said = typeof erasure === 'string' ? envelopeOf({ envelope: erasure }) : undefined;
  return { body: state, erasure: said ?? null };
}

/**
 * Erases a private body at the word of its contract's tenant. The contract, its place on the record
 * and the erasure itself stay; of the body only its salted hash is left, which says nothing.
 */
export function* eraseBody(
  transaction: Transaction,
  { value, envelope }: Carried<SignedErasure>,
  nowMs: number,
): Work<void> {
  const { contract, body } = value;
  const row = yield* one('SELECT tenant, node FROM contracts WHERE id = :contract', { contract });
  if (row === undefined) {
    throw new ContractError('CONTRACT_UNKNOWN', 'No such contract is here; check its id.');
  }
  if (row['tenant'] !== value.tenant) {
    throw new ContractError('TENANT_MISMATCH', 'Only its tenant can erase what is in a contract.');
  }
  yield* refuseOld(value.signers, nowMs);
  const kept = yield* one(
    'SELECT 1 AS found FROM bodies WHERE contract = :contract AND digest = :body',
    { contract, body },
  );
  if (kept === undefined) {
    throw new RefusedError('NOT_FOUND', 'The contract has no such private body; check its hash.');
  }
  const changed = yield* run(
    `UPDATE bodies SET body = NULL, erasure = :erasure
     WHERE contract = :contract AND digest = :body AND erasure IS NULL`,
    { contract, body, erasure: JSON.stringify(envelope) },
  );
  if (changed === 0) return;
  transaction.record(recordOf(envelope));
  transaction.touch(String(row['node']));
}
