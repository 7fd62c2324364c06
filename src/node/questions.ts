import { containerIdOf } from '../container/plan.ts';
import { signAnswer, verifyQuestion } from '../contract/question.ts';
import type { VerifiedContract } from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import { type Envelope, type Signer, untrustedPayload } from '../identity/envelope.ts';
import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class AskError extends ZosError<'ASKER_FOREIGN'> {}

/** So many questions are remembered as answered; older ones are stale by then. */
const ANSWERED_MAX = 1024;

export type QuestionParts = {
  readonly grid: string;
  readonly node: string;
  readonly signer: Signer;
  readonly held: ReadonlyMap<string, VerifiedContract>;
  readonly clock: () => number;
  /** The newest bytes of a container's log; empty when it has none yet. */
  readonly readLogTail: (id: string) => Promise<Uint8Array>;
  readonly send: (answer: Envelope) => Promise<void>;
  readonly onBad: (what: string, error: unknown) => void;
};

/** Answers each open question once; only the tenant of a contract learns something of it. */
export function openQuestions(parts: QuestionParts): (wants: Wants) => Promise<void> {
  const answered = new Set<string>();
  const answer = async (carried: Wants['questions'][number]): Promise<void> => {
    const { grid, node, signer, held, clock } = parts;
    const id = sha256Hex(untrustedPayload(carried.question, 'question'));
    if (answered.has(id)) return;
    const question = verifyQuestion(carried, { grid, node, nowMs: clock() });
    const contract = held.get(question.contract);
    if (contract?.tenant !== question.asker.id) {
      throw new AskError('ASKER_FOREIGN', 'Only the tenant of a contract that runs here may ask.');
    }
    const container = containerIdOf(contract.id, question.workload);
    const isThere = contract.workloads.some(
      ({ kind, name }) => kind === 'container' && name === question.workload,
    );
    const missing = utf8(`This contract has no container ${question.workload}.\n`);
    const plain = isThere ? await parts.readLogTail(container) : missing;
    await parts.send(signAnswer(question, plain, signer));
    answered.add(id);
    const [oldest] = answered;
    if (answered.size > ANSWERED_MAX && oldest !== undefined) answered.delete(oldest);
  };
  return async ({ questions }) => {
    for (const carried of questions) {
      try {
        await answer(carried);
      } catch (error) {
        parts.onBad('question', error);
      }
    }
  };
}
