import type { Measurement } from '../../capacity/measured/spec.ts';
import { type Envelope, parsePayload, untrustedPayload } from '../../identity/envelope.ts';
import { type Question, questionSchema } from '../../contract/spec.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { recordOf } from '../record/append.ts';
import { envelopeIn, numberIn, textIn } from '../sql/rows.ts';
import type { Carried } from '../store.ts';

/** Keeps what a node showed last, and puts it on the record. */
export function* putMeasurement(
  transaction: Transaction,
  { value, envelope }: Carried<Measurement>,
): Work<void> {
  yield* run(
    `INSERT INTO measurements (node, measurement, envelope) VALUES (:node, :measurement, :envelope)
     ON CONFLICT (node) DO UPDATE SET measurement = excluded.measurement,
       envelope = excluded.envelope`,
    {
      node: value.node,
      measurement: JSON.stringify(value),
      envelope: JSON.stringify(envelope),
    },
  );
  transaction.record(recordOf(envelope));
}

export type DueWish = {
  readonly nowMs: number;
  /** When a new node is measured first, and when one that is measured now is again. */
  readonly firstMs: number;
  readonly nextMs: number;
  readonly limit: number;
};

/** Nodes that are there and due; each is given to one process, once. */
export function* claimDue({ nowMs, firstMs, nextMs, limit }: DueWish): Work<string[]> {
  yield* run(
    `UPDATE capacity SET measure_at_ms = :firstMs
     WHERE measure_at_ms = 0 AND online_until_ms > :nowMs AND farm IS NOT NULL`,
    { nowMs, firstMs },
  );
  const rows = yield* all(
    `SELECT c.seq, c.measure_at_ms, n.id FROM capacity c JOIN nodes n ON n.seq = c.seq
     WHERE c.measure_at_ms > 0 AND c.measure_at_ms <= :nowMs AND c.online_until_ms > :nowMs
     ORDER BY c.measure_at_ms LIMIT :limit`,
    { nowMs, limit },
  );
  const claimed: string[] = [];
  for (const row of rows) {
    const changed = yield* run(
      'UPDATE capacity SET measure_at_ms = :nextMs WHERE seq = :seq AND measure_at_ms = :before',
      { seq: numberIn(row, 'seq'), before: numberIn(row, 'measure_at_ms'), nextMs },
    );
    if (changed > 0) claimed.push(textIn(row, 'id'));
  }
  return claimed;
}

/** An open question as it was signed, by its id. */
export function* openQuestionOf(id: string, nowMs: number): Work<Question | undefined> {
  const row = yield* one(
    'SELECT envelope FROM questions WHERE id = :id AND until_ms > :nowMs AND answer IS NULL',
    { id, nowMs },
  );
  if (row === undefined) return undefined;
  const envelope: Envelope = envelopeIn(row, 'envelope');
  return parsePayload(untrustedPayload(envelope, 'question'), questionSchema);
}
