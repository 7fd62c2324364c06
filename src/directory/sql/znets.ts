import type { ZnetEnd } from '../../znet/spec.ts';
import type { Transaction } from '../database/database.ts';
import { all, run, type Work } from '../database/work.ts';
import { textIn } from './rows.ts';

type Ends = {
  readonly contract: string;
  readonly node: string;
  readonly ends: readonly ZnetEnd[];
};

/** Keeps where a contract's ends of its znets are, and wakes every node that has it as a peer. */
export function* putZnetEnds(transaction: Transaction, { contract, node, ends }: Ends): Work<void> {
  const kept = yield* all('SELECT znet, wire FROM znet_ends WHERE contract = :contract', {
    contract,
  });
  const before = new Map(kept.map((row) => [textIn(row, 'znet'), textIn(row, 'wire')]));
  const after = new Map(ends.map((end) => [end.znet, JSON.stringify(end)]));
  for (const znet of new Set([...before.keys(), ...after.keys()])) {
    const wire = after.get(znet);
    if (before.get(znet) === wire) continue;
    yield* putEnd({ contract, node, znet, wire });
    const peers = yield* all(
      'SELECT DISTINCT node FROM znet_peers WHERE peer = :node AND znet = :znet',
      { node, znet },
    );
    for (const row of peers) transaction.touch(textIn(row, 'node'));
  }
}

type End = {
  readonly contract: string;
  readonly node: string;
  readonly znet: string;
  readonly wire: string | undefined;
};

function* putEnd({ contract, node, znet, wire }: End): Work<void> {
  if (wire === undefined) {
    yield* run('DELETE FROM znet_ends WHERE contract = :contract AND znet = :znet', {
      contract,
      znet,
    });
    return;
  }
  yield* run(
    `INSERT INTO znet_ends (contract, znet, node, wire) VALUES (:contract, :znet, :node, :wire)
     ON CONFLICT (contract, znet) DO UPDATE SET wire = excluded.wire`,
    { contract, znet, node, wire },
  );
}
