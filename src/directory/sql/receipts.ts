import { isLaterMeter, type Meter } from '../../capacity/use/meter.ts';
import type { Receipt } from '../../contract/receipt.ts';
import { ContractError } from '../../contract/verify.ts';
import { RefusedError } from '../errors.ts';
import { afterReceipt, afterTime, isOver, type Life, type LifeVersion } from '../life.ts';
import type { Carried } from '../store.ts';
import { contractRow, saveLife, sweep } from './contracts.ts';
import type { Transaction } from '../database/database.ts';
import { one, run, type Work } from '../database/work.ts';
import { recordOf } from '../record/append.ts';
import { jsonIn, numberIn } from './rows.ts';
import { putZnetEnds } from './znets.ts';

/** Takes a node's word about a contract of its own, unless a later one is here. */
export function* putReceipt(
  transaction: Transaction,
  { value: receipt, envelope }: Carried<Receipt>,
  nowMs: number,
): Work<void> {
  yield* sweep(transaction, nowMs);
  const row = yield* contractRow(receipt.contract);
  if (row === undefined) {
    throw new ContractError('CONTRACT_UNKNOWN', 'The directory has no such contract.');
  }
  if (row['node'] !== receipt.node) {
    throw new ContractError('NODE_FOREIGN', 'This contract is on another node than the signer.');
  }
  const said = yield* versionOf(receipt);
  if (said === undefined) {
    throw new ContractError('CONTRACT_UNKNOWN', 'The directory has no such version of it.');
  }
  yield* refuseShrunk(receipt);
  const text = JSON.stringify(envelope);
  // One statement, so that an older receipt never replaces a newer one.
  const changed = yield* run(
    `INSERT INTO receipts (contract, node, seq, envelope, meter)
     VALUES (:contract, :node, :seq, :text, :meter)
     ON CONFLICT (contract) DO UPDATE SET seq = excluded.seq, envelope = excluded.envelope,
       meter = COALESCE(excluded.meter, receipts.meter)
     WHERE excluded.seq > receipts.seq`,
    {
      contract: receipt.contract,
      node: receipt.node,
      seq: receipt.seq,
      text,
      meter: receipt.meter === undefined ? null : JSON.stringify(receipt.meter),
    },
  );
  if (changed === 0) {
    yield* refuseUnlessSame(receipt, text);
    return;
  }
  const before = jsonIn(row, 'life') as Life;
  // A late word brings nothing back that is past its end: the room is another's by now.
  const after = afterTime(afterReceipt(before, receipt.state, said), nowMs);
  yield* saveLife({ id: receipt.contract }, after);
  const isChanged =
    after.held?.digest !== before.held?.digest ||
    after.pending?.digest !== before.pending?.digest ||
    after.state !== before.state;
  if (isChanged) {
    transaction.record(recordOf(envelope));
    transaction.touch(receipt.node);
  }
  const ends = isOver(after) ? [] : receipt.znetEnds;
  yield* putZnetEnds(transaction, { contract: receipt.contract, node: receipt.node, ends });
}

/** By its digest: a version that was dropped may have left its number to another. */
function* versionOf({ contract, version, digest }: Receipt): Work<LifeVersion | undefined> {
  const row = yield* one(
    `SELECT life_version FROM versions
     WHERE digest = :digest AND contract = :contract AND version = :version`,
    { digest, contract, version },
  );
  return row === undefined ? undefined : (jsonIn(row, 'life_version') as LifeVersion);
}

/** A meter only grows: what a node said once that a contract used, it never takes back. */
function* refuseShrunk({ contract, seq, meter }: Receipt): Work<void> {
  if (meter === undefined) return;
  const row = yield* one('SELECT meter FROM receipts WHERE contract = :contract AND seq < :seq', {
    contract,
    seq,
  });
  if (row === undefined || row['meter'] === null) return;
  if (isLaterMeter(jsonIn(row, 'meter') as Meter, meter)) return;
  throw new RefusedError(
    'METER_BACKWARD',
    'This receipt tells less use than one before; a meter only grows, or begins after its end.',
  );
}

/** The same receipt again is no error: its answer may have been lost. */
function* refuseUnlessSame(receipt: Receipt, text: string): Work<void> {
  const row = yield* one('SELECT seq, envelope FROM receipts WHERE contract = :contract', {
    contract: receipt.contract,
  });
  if (row?.['envelope'] === text) return;
  const seq = numberIn(row ?? {}, 'seq');
  throw new RefusedError(
    'RECEIPT_OLD',
    `The directory has receipt ${seq} about this contract; sign one with a higher number.`,
    { facts: { seq } },
  );
}
