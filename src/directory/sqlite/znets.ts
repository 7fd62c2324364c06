import type { ZnetEnd } from '../../znet/spec.ts';
import type { Transaction } from './database.ts';
import { textIn } from './rows.ts';

type Ends = {
  readonly contract: string;
  readonly node: string;
  readonly ends: readonly ZnetEnd[];
};

/** Keeps where a contract's ends of its znets are, and wakes every node that has it as a peer. */
export function putZnetEnds(transaction: Transaction, { contract, node, ends }: Ends): void {
  const before = new Map(
    transaction
      .all('SELECT znet, wire FROM znet_ends WHERE contract = :contract', { contract })
      .map((row) => [textIn(row, 'znet'), textIn(row, 'wire')]),
  );
  const after = new Map(ends.map((end) => [end.znet, JSON.stringify(end)]));
  for (const znet of new Set([...before.keys(), ...after.keys()])) {
    const wire = after.get(znet);
    if (before.get(znet) === wire) continue;
    putEnd(transaction, { contract, node, znet, wire });
    const peers = transaction.all(
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

function putEnd(transaction: Transaction, { contract, node, znet, wire }: End): void {
  if (wire === undefined) {
    transaction.run('DELETE FROM znet_ends WHERE contract = :contract AND znet = :znet', {
      contract,
      znet,
    });
    return;
  }
  transaction.run(
    `INSERT INTO znet_ends (contract, znet, node, wire) VALUES (:contract, :znet, :node, :wire)
     ON CONFLICT (contract, znet) DO UPDATE SET wire = excluded.wire`,
    { contract, znet, node, wire },
  );
}
