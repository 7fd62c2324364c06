import type { VerifiedContract } from '../../contract/verify.ts';
import { AskError, type Asked } from '../questions.ts';
import { explainContract, explainNode } from './explanation.ts';
import type { Waits } from './waits.ts';

export type ExplainParts = {
  readonly grid: string;
  readonly node: string;
  readonly held: ReadonlyMap<string, VerifiedContract>;
  readonly waits: Waits;
  /** Whose node this is. */
  readonly farmer: string | undefined;
  readonly clock: () => number;
  readonly steady: () => number;
};

/** Explains a contract to its tenant, and the whole node to its farmer; to nobody else anything. */
export function explain(parts: ExplainParts, question: Asked<'explain'>): Uint8Array {
  const { grid, node, held, waits, clock, steady } = parts;
  const view = waits.view();
  if (view === undefined) {
    throw new AskError('NOT_SEEN_YET', 'The node has not looked at its machine yet; ask again.');
  }
  const nowMs = clock();
  const wallMs = (steadyMs: number): number => nowMs + steadyMs - steady();
  const explained = { grid, node, view, nowMs, wallMs, sinceMs: waits.sinceMs };
  if (question.contract === null) {
    refuseStranger(parts, question.tenant);
    return explainNode(explained);
  }
  const contract = held.get(question.contract);
  if (contract?.tenant !== question.tenant) {
    throw new AskError('ASKER_FOREIGN', 'Only the tenant of a contract that runs here may ask.');
  }
  return explainContract(explained, contract);
}

function refuseStranger({ farmer }: ExplainParts, asker: string): void {
  if (farmer === asker) return;
  throw new AskError('ASKER_FOREIGN', 'Only the farmer of this node may ask that.');
}
