import { containerIdOf } from '../container/plan.ts';
import { type AskedQuestion, signAnswer, verifyQuestion } from '../contract/question.ts';
import type { VerifiedContract } from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import { type Envelope, type Signer, untrustedPayload } from '../identity/envelope.ts';
import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class AskError extends ZosError<'ASKER_FOREIGN'> {}

/** So many questions are remembered as answered; older ones are stale by then. */
const ANSWERED_MAX = 1024;

/** A question of one kind, from somebody who signed it. */
export type Asked<Kind extends AskedQuestion['ask']> = Extract<AskedQuestion, { ask: Kind }>;

export type QuestionParts = {
  readonly grid: string;
  readonly node: string;
  readonly signer: Signer;
  readonly held: ReadonlyMap<string, VerifiedContract>;
  readonly clock: () => number;
  /** The newest bytes of a container's log; empty when it has none yet. */
  readonly readLogTail: (id: string) => Promise<Uint8Array>;
  /** The TPM's evidence for this question; throws where there is no TPM to ask. */
  readonly attest: (question: Asked<'attest'>) => Promise<Uint8Array>;
  /** What the node has, shown to the directory and to nobody else. */
  readonly measure: (question: Asked<'measure'>) => Promise<Uint8Array>;
  readonly send: (answer: Envelope) => Promise<void>;
  readonly onBad: (what: string, error: unknown) => void;
};

/** Answers each open question once; only the tenant of a contract learns something of it. */
export function openQuestions(parts: QuestionParts): (wants: Wants) => Promise<void> {
  const answered = new Set<string>();
  const answer = async (carried: Wants['questions'][number]): Promise<void> => {
    const { grid, node, signer, clock } = parts;
    const id = sha256Hex(untrustedPayload(carried.question, 'question'));
    if (answered.has(id)) return;
    const question = verifyQuestion(carried, { grid, node, nowMs: clock() });
    if (question.ask === 'measure') {
      // It takes its time, and nothing else waits for it.
      remember(id);
      void measure(question);
      return;
    }
    const plain =
      question.ask === 'attest' ? await parts.attest(question) : await readLog(question);
    await parts.send(signAnswer(question, plain, signer));
    remember(id);
  };
  const remember = (id: string): void => {
    answered.add(id);
    const [oldest] = answered;
    if (answered.size > ANSWERED_MAX && oldest !== undefined) answered.delete(oldest);
  };
  const measure = async (question: Asked<'measure'>): Promise<void> => {
    try {
      await parts.send(signAnswer(question, await parts.measure(question), parts.signer));
    } catch (error) {
      parts.onBad('measurement', error);
    }
  };
  const readLog = async (question: Asked<'logs'>): Promise<Uint8Array> => {
    const contract = parts.held.get(question.contract);
    if (contract?.tenant !== question.tenant) {
      throw new AskError('ASKER_FOREIGN', 'Only the tenant of a contract that runs here may ask.');
    }
    const container = containerIdOf(contract.id, question.workload);
    const isThere = contract.workloads.some(
      ({ kind, name }) => kind === 'container' && name === question.workload,
    );
    const missing = utf8(`This contract has no container ${question.workload}.\n`);
    return isThere ? parts.readLogTail(container) : missing;
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
