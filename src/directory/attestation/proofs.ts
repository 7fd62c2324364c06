import { countedClass } from '../../capacity/class.ts';
import type { NodeClass } from '../../capacity/spec.ts';
import type { Proof } from '../../sdk/api.ts';
import { indexProof } from '../capacity/table.ts';
import { one, run, type Row, type Work } from '../database/work.ts';
import { jsonIn, textIn } from '../sql/rows.ts';

/** Keeps what became of the latest question to a node's TPM. */
export function* putProof(node: string, proof: Proof): Work<void> {
  yield* run(
    `INSERT INTO proofs (node, proof) VALUES (:node, :proof)
     ON CONFLICT (node) DO UPDATE SET proof = excluded.proof`,
    { node, proof: JSON.stringify(proof) },
  );
  yield* indexProof(node, proof);
}

/** What became of it, as long as the node still makes the offer that was proven. */
export function* proofOf(node: string, offerId: string): Work<Proof | null> {
  const row = yield* one('SELECT proof FROM proofs WHERE node = :node', { node });
  if (row === undefined) return null;
  const proof = jsonIn(row, 'proof') as Proof;
  return proof.offerId === offerId ? proof : null;
}

/** The class that a node's row counts for now: `attested` only while its proof lasts. */
export function* classIn(row: Row, nowMs: number): Work<NodeClass> {
  const proof = yield* proofOf(textIn(row, 'id'), textIn(row, 'offer_id'));
  return countedClass(textIn(row, 'class') as NodeClass, isProof(proof, nowMs));
}

/** Whether it proves anything at this moment. */
export function isProof(proof: Proof | null, nowMs: number): boolean {
  return proof !== null && proof.isProven && nowMs < proof.untilMs;
}
