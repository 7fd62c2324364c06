import { lowestOf, publishedOf, putRelease } from './release/store.ts';
import type { Store } from './store.ts';
import { putProof } from './attestation/proofs.ts';
import { farmerOf, putUpdatePolicy } from './rollout/policies.ts';
import { lengthenTurns, sweepTurns, takeTurn } from './rollout/turns.ts';
import { updatesOf } from './rollout/view.ts';
import { admitContract, cancelContract, sweep } from './sqlite/contracts.ts';
import { openDatabase } from './sqlite/database.ts';
import {
  farmsOf,
  identityOf,
  nodeOf,
  nodesOf,
  putFarm,
  putHeartbeat,
  putIdentity,
  registerNode,
} from './sqlite/nodes.ts';
import { answerOf, ask, claimNonce, putAnswer } from './sqlite/questions.ts';
import { putReceipt } from './sqlite/receipts.ts';
import { contractOf, contractsOf } from './sqlite/views.ts';
import { revisionOf, wantsOf } from './sqlite/wants.ts';

/** The store in one SQLite file (WAL, flushed at every commit), for one directory process. */
export function openSqliteStore(options: { readonly path: string; readonly grid: string }): Store {
  const { sql, write, onChange, close } = openDatabase(options.path, options.grid);
  let isAwake = false;
  return {
    onChange,
    putIdentity: async (identity) => write((transaction) => putIdentity(transaction, identity)),
    identity: async (id) => identityOf(sql, id),
    putFarm: async (farm, farmer) =>
      write((transaction) => {
        putIdentity(transaction, farmer);
        putFarm(transaction, farm);
      }),
    farms: async (page) => farmsOf(sql, page),
    farmer: async (farm) => farmerOf(sql, farm),
    putUpdatePolicy: async (policy) => write((transaction) => putUpdatePolicy(transaction, policy)),
    takeTurn: async (wish, nowMs) => write((transaction) => takeTurn(transaction, wish, nowMs)),
    updates: async (farm) => updatesOf(sql, farm),
    registerNode: async (entry) => write((transaction) => registerNode(transaction, entry)),
    node: async (id) => nodeOf(sql, id),
    nodes: async (page) => nodesOf(sql, page),
    putProof: async (node, proof) => write((transaction) => putProof(transaction, node, proof)),
    putHeartbeat: async (heartbeat, nowMs) =>
      write((transaction) => putHeartbeat(transaction, heartbeat, nowMs)),
    admitContract: async (entry) => write((transaction) => admitContract(transaction, entry)),
    contract: async (id) => contractOf(sql, id),
    contracts: async (filter, page) => contractsOf(sql, filter, page),
    cancelContract: async (cancellation, nowMs) =>
      write((transaction) => cancelContract(transaction, cancellation, nowMs)),
    putReceipt: async (receipt, nowMs) =>
      write((transaction) => putReceipt(transaction, receipt, nowMs)),
    ask: async (entry) => write((transaction) => ask(transaction, entry)),
    putAnswer: async (answer, nowMs) =>
      write((transaction) => putAnswer(transaction, answer, nowMs)),
    answer: async (question, nowMs) => answerOf(sql, question, nowMs),
    wants: async (node, nowMs) => wantsOf(sql, node, nowMs),
    revision: async (node) => revisionOf(sql, node),
    claimNonce: async (claim, nowMs) =>
      write((transaction) => claimNonce(transaction, claim, nowMs)),
    putRelease: async (published) => write((transaction) => putRelease(transaction, published)),
    lowestRelease: async () => lowestOf(sql),
    publishedRelease: async () => publishedOf(sql),
    sweep: async (nowMs) =>
      write((transaction) => {
        sweep(transaction, nowMs);
        if (isAwake) sweepTurns(transaction, nowMs);
        else lengthenTurns(transaction, nowMs);
        isAwake = true;
      }),
    close,
  };
}
