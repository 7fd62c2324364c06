import type { Approval } from '../../identity/farm.ts';
import type { Envelope } from '../../identity/envelope.ts';
import type { Registration } from '../../sdk/registration.ts';
import { placeNodes } from '../capacity/table.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { RefusedError } from '../errors.ts';
import { recordOf } from '../record/append.ts';
import { envelopeIn, textIn, textOrNullIn } from '../sql/rows.ts';
import type { Carried } from '../store.ts';

/** Lets a node that waits join the farm of whoever signed that; once more is no change. */
export function* approveNode(
  transaction: Transaction,
  { value, envelope }: Carried<Approval>,
): Work<Registration> {
  const { node, farm } = value;
  const row = yield* one('SELECT farm FROM nodes WHERE id = :node', { node });
  if (row === undefined) {
    throw new RefusedError('NODE_UNKNOWN', 'No such node has registered; switch it on first.');
  }
  const joined = textOrNullIn(row, 'farm');
  if (joined !== null && joined !== farm) {
    throw new RefusedError('NODE_IN_OTHER_FARM', 'This node has joined another farm already.');
  }
  yield* run('UPDATE nodes SET farm = :farm, approval = :approval WHERE id = :node', {
    node,
    farm,
    approval: JSON.stringify(envelope),
  });
  yield* placeNodes({ node });
  transaction.record(recordOf(envelope));
  transaction.touch(node);
  return { id: node, state: 'joined', farm };
}

/** What a farmer signed about a node; none for one that came with a token, or waits. */
export function* approvalOf(node: string): Work<Envelope | undefined> {
  const row = yield* one('SELECT approval FROM nodes WHERE id = :node', { node });
  if (row === undefined || row['approval'] === null) return undefined;
  return envelopeIn(row, 'approval');
}

/** The nodes whose ids begin with these digits, two at most: more than one is none. */
export function* nodesBy(prefix: string): Work<string[]> {
  const rows = yield* all(
    'SELECT id FROM nodes WHERE id >= :prefix AND id < :after ORDER BY id LIMIT 2',
    { prefix, after: `${prefix}g` },
  );
  return rows.map((row) => textIn(row, 'id'));
}
