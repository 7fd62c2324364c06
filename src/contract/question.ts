import type { IdentityBundle } from '../identity/bundle.ts';
import { type Identity, sealingKeyFor, verifyIdentity } from '../identity/document.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
  untrustedPayload,
} from '../identity/envelope.ts';
import { openSealed, sealTo } from '../identity/seal.ts';
import { fromBase64, sha256Hex, toBase64 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { KiB, MINUTE_MS } from '../lib/units.ts';
import { answerSchema, type Question, questionSchema } from './spec.ts';

export class QuestionError extends ZosError<
  'QUESTION_FOREIGN' | 'QUESTION_STALE' | 'ANSWER_FOREIGN' | 'ANSWER_MALFORMED'
> {}

/** The most of a log that one answer holds; the newest end of it. */
export const ANSWER_BYTES_MAX = 64 * KiB;
/** The most that a node shows of what it filled for a measurement. */
const MEASURED_BYTES_MAX = 140 * KiB;
/** How long a question may be under way; an old one is not answered again. */
export const QUESTION_AGE_MS_MAX = 5 * MINUTE_MS;

export type AskedQuestion = Question & {
  readonly id: string;
  readonly signers: Identity;
  /** To whom the answer is sealed. */
  readonly sealingKey: Uint8Array;
};

type QuestionContext = { readonly grid: string; readonly node: string; readonly nowMs: number };

/** A question that its tenant signed, to this node, lately; throws `QuestionError` and below. */
export function verifyQuestion(
  carried: { readonly question: Envelope; readonly tenant: IdentityBundle },
  context: QuestionContext,
): AskedQuestion {
  const question = verifySignedQuestion(carried, context);
  if (question.node !== context.node) {
    throw new QuestionError('QUESTION_FOREIGN', 'It is for another node.');
  }
  return question;
}

/** A question that its tenant signed lately, to whatever node; for who carries it there. */
export function verifySignedQuestion(
  carried: { readonly question: Envelope; readonly tenant: IdentityBundle },
  context: { readonly grid: string; readonly nowMs: number },
): AskedQuestion {
  const asker = verifyIdentity(carried.tenant);
  const payload = openEnvelope(carried.question, 'question', asker.keys);
  const question = parsePayload(payload, questionSchema);
  if (question.tenant !== asker.id || question.grid !== context.grid) {
    throw new QuestionError('QUESTION_FOREIGN', 'It is for another tenant or grid.');
  }
  if (Math.abs(context.nowMs - question.atMs) > QUESTION_AGE_MS_MAX) {
    throw new QuestionError('QUESTION_STALE', 'The question is over five minutes old; ask again.');
  }
  const sealingKey = sealingKeyFor(asker, carried.question);
  return { ...question, id: sha256Hex(payload), signers: asker, sealingKey };
}

/** The SHA-256 of a question's payload, by which its answer names it. */
export function questionId(envelope: Envelope): string {
  return sha256Hex(untrustedPayload(envelope, 'question'));
}

/** The newest bytes of `plain`, sealed so that only the asker reads them, signed by the node. */
export function signAnswer(question: AskedQuestion, plain: Uint8Array, signer: Signer): Envelope {
  const most = question.ask === 'measure' ? MEASURED_BYTES_MAX : ANSWER_BYTES_MAX;
  const tail = plain.subarray(Math.max(0, plain.length - most));
  const sealed = toBase64(sealTo(question.sealingKey, tail));
  const { grid, node, id } = question;
  return signEnvelope('answer', answerSchema.parse({ grid, node, question: id, sealed }), signer);
}

/** What the node answered; throws `QuestionError`, `SealError` and below. */
export function openAnswer(
  envelope: Envelope,
  expected: { readonly node: Identity; readonly grid: string; readonly question: string },
  sealingSecret: Uint8Array,
): Uint8Array {
  const payload = openEnvelope(envelope, 'answer', expected.node.keys);
  const answer = parsePayload(payload, answerSchema);
  const isForeign =
    answer.node !== expected.node.id ||
    answer.grid !== expected.grid ||
    answer.question !== expected.question;
  if (isForeign) throw new QuestionError('ANSWER_FOREIGN', 'This answers another question.');
  const sealed = fromBase64(answer.sealed);
  if (sealed === undefined) throw new QuestionError('ANSWER_MALFORMED', 'The answer is damaged.');
  return openSealed(sealingSecret, sealed);
}
