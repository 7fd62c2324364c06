import type { AskedQuestion } from '../../contract/question.ts';
import type { Answer } from '../../contract/spec.ts';
import { ContractError } from '../../contract/verify.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { MINUTE_MS } from '../../lib/units.ts';
import { RefusedError } from '../errors.ts';
import type { Carried } from '../store.ts';
import { contractRow } from './contracts.ts';
import type { Transaction } from '../database/database.ts';
import { abreast, one, type Row, run, type Work } from '../database/work.ts';
import { refuseOld } from '../identity/identities.ts';
import { envelopeOf, numberIn, textIn } from './rows.ts';
import { revisionOf } from './wants.ts';

/** How long a question waits for its answer, and an answer for who fetches it. */
export const QUESTION_OPEN_MS = 2 * MINUTE_MS;
/** The most questions that wait for an answer, of one tenant and for one node. */
const TENANT_OPEN_MAX = 16;
const NODE_OPEN_MAX = 64;
/** The newest answers that are kept of one tenant; who follows a log asks again and again. */
const TENANT_ANSWERS_MAX = 8;

type Entry = {
  readonly question: Carried<AskedQuestion>;
  /** The document of who asks. */
  readonly asker: IdentityBundle;
  readonly nowMs: number;
};

/** Puts a question before its node: of a tenant about its contract, of anybody for a proof. */
export function* ask(transaction: Transaction, { question, asker, nowMs }: Entry): Work<void> {
  const { id, node, tenant } = question.value;
  const [, known, open] = yield* abreast(
    'contract' in question.value && question.value.contract !== null
      ? refuseStranger(question.value, question.value.contract)
      : refuseUnknown(node),
    one('SELECT 1 FROM questions WHERE id = :id', { id }),
    openQuestions(question.value, nowMs),
    refuseOld(question.value.signers, nowMs),
  );
  if (known !== undefined) return;
  refuseTooMany(open);
  const insert = run(
    `INSERT INTO questions (id, node, tenant, until_ms, bundle, envelope)
     VALUES (:id, :node, :tenant, :untilMs, :bundle, :envelope)`,
    {
      id,
      node,
      tenant,
      untilMs: nowMs + QUESTION_OPEN_MS,
      bundle: JSON.stringify(asker),
      envelope: JSON.stringify(question.envelope),
    },
  );
  yield* abreast(dropOldAnswers(tenant), insert);
  transaction.touch(node);
}

function* refuseUnknown(node: string): Work<void> {
  if ((yield* revisionOf(node)) !== undefined) return;
  throw new RefusedError('NODE_UNKNOWN', 'No such node has registered; see who has.');
}

function* refuseStranger({ node, tenant }: AskedQuestion, contract: string): Work<void> {
  const row = yield* contractRow(contract);
  if (row === undefined || row['node'] !== node) {
    throw new ContractError('CONTRACT_UNKNOWN', 'No such contract is on that node.');
  }
  if (row['tenant'] !== tenant) {
    throw new ContractError('TENANT_MISMATCH', 'Only its tenant may ask about a contract.');
  }
}

function* openQuestions({ tenant, node }: AskedQuestion, nowMs: number): Work<Row> {
  const counts = yield* one(
    `SELECT COUNT(*) FILTER (WHERE tenant = :tenant) AS asked,
       COUNT(*) FILTER (WHERE node = :node) AS waiting
     FROM questions
     WHERE (tenant = :tenant OR node = :node) AND answer IS NULL AND until_ms > :nowMs`,
    { tenant, node, nowMs },
  );
  return counts ?? {};
}

function refuseTooMany(counts: Row): void {
  const isFull =
    numberIn(counts, 'asked') >= TENANT_OPEN_MAX || numberIn(counts, 'waiting') >= NODE_OPEN_MAX;
  if (!isFull) return;
  throw new RefusedError(
    'TOO_MANY_QUESTIONS',
    'Too many questions are open; wait two minutes for them to be answered or to lapse.',
  );
}

function* dropOldAnswers(tenant: string): Work<void> {
  yield* run(
    `DELETE FROM questions WHERE id IN (
       SELECT id FROM questions WHERE tenant = :tenant AND answer IS NOT NULL
       ORDER BY until_ms DESC LIMIT 1000 OFFSET :kept
     )`,
    { tenant, kept: TENANT_ANSWERS_MAX },
  );
}

/** Keeps the node's answer for the asker; only the first counts. */
export function* putAnswer(
  transaction: Transaction,
  { value, envelope }: Carried<Answer>,
  nowMs: number,
): Work<void> {
  const row = yield* one('SELECT node, answer FROM questions WHERE id = :id', {
    id: value.question,
  });
  if (row === undefined) throw unknownQuestion();
  if (textIn(row, 'node') !== value.node) {
    throw new ContractError('NODE_FOREIGN', 'This question is to another node.');
  }
  const changed = yield* run(
    `UPDATE questions SET answer = :answer, until_ms = :untilMs
     WHERE id = :id AND answer IS NULL AND until_ms > :nowMs`,
    {
      id: value.question,
      answer: JSON.stringify(envelope),
      untilMs: nowMs + QUESTION_OPEN_MS,
      nowMs,
    },
  );
  if (changed > 0) transaction.touch(value.node);
  else if (row['answer'] === null) throw unknownQuestion();
}

/** The answer; `null` while there is none; `undefined` when there is no such open question. */
export function* answerOf(id: string, nowMs: number): Work<Envelope | null | undefined> {
  const row = yield* one('SELECT answer FROM questions WHERE id = :id AND until_ms > :nowMs', {
    id,
    nowMs,
  });
  if (row === undefined) return undefined;
  return row['answer'] === null ? null : envelopeOf(row, 'answer');
}

/** Whether this nonce is the node's first in its time. */
export function* claimNonce(claim: {
  readonly node: string;
  readonly nonce: string;
  readonly untilMs: number;
}): Work<boolean> {
  const changed = yield* run(
    `INSERT INTO nonces (node, nonce, until_ms) VALUES (:node, :nonce, :untilMs)
     ON CONFLICT DO NOTHING`,
    claim,
  );
  return changed > 0;
}

/** Forgets nonces and questions whose time is over. */
export function* sweepQuestions(nowMs: number): Work<void> {
  yield* run('DELETE FROM nonces WHERE until_ms <= :nowMs', { nowMs });
  yield* run('DELETE FROM questions WHERE until_ms <= :nowMs', { nowMs });
}

function unknownQuestion(): RefusedError {
  return new RefusedError('QUESTION_UNKNOWN', 'No such question is open; ask again.');
}
