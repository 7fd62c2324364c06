import { containerIdOf } from '../container/plan.ts';
import { type AskedQuestion, signAnswer, verifyQuestion } from '../contract/question.ts';
import type { VerifiedContract } from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import { type Envelope, type Signer, untrustedPayload } from '../identity/envelope.ts';
import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class AskError extends ZosError<'ASKER_FOREIGN' | 'NOT_SEEN_YET'> {}

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
  /** What the node wants, has and waits for, to whom that concerns. */
  readonly explain: (question: Asked<'explain'>) => Uint8Array;
  /** What the node's farmer asks of its power. */
  readonly power: (question: Asked<'power'>) => Promise<Uint8Array>;
  /** One look at the machine itself, for its farmer. */
  readonly look: (question: Asked<'look'>) => Promise<Uint8Array>;
  readonly send: (answer: Envelope) => Promise<void>;
  readonly onBad: (what: string, error: unknown) => void;
};

/** What is answered at once, one after the other. */
type Shown = Exclude<AskedQuestion, { ask: 'measure' | 'look' }>;

/** Answers each open question once; only the tenant of a contract learns something of it. */
export function openQuestions(parts: QuestionParts): (wants: Wants) => Promise<void> {
  const answered = new Set<string>();
  const answer = async (carried: Wants['questions'][number]): Promise<void> => {
    const { grid, node, signer, clock } = parts;
    const id = sha256Hex(untrustedPayload(carried.question, 'question'));
    if (answered.has(id)) return;
    const question = verifyQuestion(carried, { grid, node, nowMs: clock() });
    if (question.ask === 'measure' || question.ask === 'look') {
      // They take their time, and nothing else waits for them.
      remember(id);
      void answerLate(question);
      return;
    }
    await parts.send(signAnswer(question, await plainOf(question), signer));
    remember(id);
  };
  const plainOf = async (question: Shown): Promise<Uint8Array> => {
    if (question.ask === 'logs') return readLog(parts, question);
    if (question.ask === 'attest') return parts.attest(question);
    return question.ask === 'explain' ? parts.explain(question) : parts.power(question);
  };
  const remember = (id: string): void => {
    answered.add(id);
    const [oldest] = answered;
    if (answered.size > ANSWERED_MAX && oldest !== undefined) answered.delete(oldest);
  };
  const answerLate = async (question: Asked<'measure'> | Asked<'look'>): Promise<void> => {
    try {
      const plain = await (question.ask === 'look'
        ? parts.look(question)
        : parts.measure(question));
      await parts.send(signAnswer(question, plain, parts.signer));
    } catch (error) {
      parts.onBad(question.ask === 'look' ? 'question' : 'measurement', error);
    }
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

async function readLog(
  { held, readLogTail }: QuestionParts,
  question: Asked<'logs'>,
): Promise<Uint8Array> {
  const contract = held.get(question.contract);
  if (contract?.tenant !== question.tenant) {
    throw new AskError('ASKER_FOREIGN', 'Only the tenant of a contract that runs here may ask.');
  }
  const container = containerIdOf(contract.id, question.workload);
  const isThere = contract.workloads.some(
    ({ kind, name }) => kind === 'container' && name === question.workload,
  );
  const missing = utf8(`This contract has no container ${question.workload}.\n`);
  return isThere ? readLogTail(container) : missing;
}
