import { approvalStore } from '../approval/store.ts';
import { putProof } from '../attestation/proofs.ts';
import { capacityStore } from '../capacity/store.ts';
import { countOwnWindow } from '../capacity/uptime.ts';
import type { Database } from '../database/database.ts';
import { sweepMessages } from '../phonebook/mailboxes.ts';
import { phonebookStore } from '../phonebook/store.ts';
import { lowestOf, publishedOf, putRelease } from '../release/store.ts';
import { farmerOf, putUpdatePolicy } from '../rollout/policies.ts';
import { lengthenTurns, sweepTurns, takeTurn } from '../rollout/turns.ts';
import { updatesOf } from '../rollout/view.ts';
import { proveWants } from '../record/proofs.ts';
import type { DirectoryRecord } from '../record/record.ts';
import type { Store } from '../store.ts';
import { eraseBody } from './bodies.ts';
import { admitContract, cancelContract, sweep } from './contracts.ts';
import { farmsOf, putFarm, registerNode } from './nodes.ts';
import { identityOf, putIdentity } from '../identity/identities.ts';
import { answerOf, ask, claimNonce, putAnswer, sweepQuestions } from './questions.ts';
import { putReceipt } from './receipts.ts';
import { contractOf, contractsOf } from './views.ts';
import { revisionOf, wantsOf } from './wants.ts';

/** The store in a database; what books or records is a `write`, what a node says often a `note`. */
export function openStore(database: Database, record: Pick<DirectoryRecord, 'prove'>): Store {
  const { read, write, note, onChange, close } = database;
  let isAwake = false;
  return {
    onChange,
    putIdentity: async (identity, nowMs) =>
      write((transaction) => putIdentity(transaction, identity, nowMs)),
    identity: async (id) => read(identityOf(id)),
    putFarm: async (farm, farmer, nowMs) =>
      write(function* (transaction) {
        yield* putIdentity(transaction, farmer, nowMs);
        yield* putFarm(transaction, farm);
      }),
    farms: async (page) => read(farmsOf(page)),
    ...capacityStore(database),
    farmer: async (farm) => read(farmerOf(farm)),
    putUpdatePolicy: async (policy, farmer) =>
      write((transaction) => putUpdatePolicy(transaction, policy, farmer)),
    takeTurn: async (wish, nowMs) => write(() => takeTurn(wish, nowMs)),
    updates: async (farm) => read(updatesOf(farm)),
    registerNode: async (entry) => write((transaction) => registerNode(transaction, entry)),
    ...approvalStore({ read, write }),
    putProof: async (node, proof) => note(() => putProof(node, proof)),
    admitContract: async (entry) => write((transaction) => admitContract(transaction, entry)),
    contract: async (id) => read(contractOf(id)),
    contracts: async (filter, page) => read(contractsOf(filter, page)),
    cancelContract: async (entry) => write((transaction) => cancelContract(transaction, entry)),
    eraseBody: async (erasure, nowMs) =>
      write((transaction) => eraseBody(transaction, erasure, nowMs)),
    putReceipt: async (receipt, nowMs) =>
      write((transaction) => putReceipt(transaction, receipt, nowMs)),
    ask: async (entry) => note((transaction) => ask(transaction, entry)),
    putAnswer: async (answer, nowMs) =>
      note((transaction) => putAnswer(transaction, answer, nowMs)),
    answer: async (question, nowMs) => read(answerOf(question, nowMs)),
    ...phonebookStore({ read, write, note }),
    wants: async (node, nowMs) => {
      const wants = await read(wantsOf(node, nowMs));
      return wants === undefined ? undefined : proveWants(wants, record.prove);
    },
    revision: async (node) => read(revisionOf(node)),
    claimNonce: async (claim) => note(() => claimNonce(claim)),
    putRelease: async (published) => write(() => putRelease(published)),
    lowestRelease: async () => read(lowestOf()),
    publishedRelease: async () => read(publishedOf()),
    sweep: async (nowMs) => {
      await write(function* (transaction) {
        yield* sweep(transaction, nowMs);
        yield* countOwnWindow(nowMs);
        yield* sweepQuestions(nowMs);
        yield* sweepMessages(nowMs);
        if (isAwake) yield* sweepTurns(nowMs);
        else yield* lengthenTurns(nowMs);
      });
      isAwake = true;
    },
    close,
  };
}
