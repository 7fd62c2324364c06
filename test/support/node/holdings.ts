import { OPENS_ELSEWHERE } from '../../../src/contract/checks/body.ts';
import type { ContractStore } from '../../../src/contract/store.ts';
import { type Holdings, openHoldings } from '../../../src/node/holdings.ts';
import { openRecordStore } from '../../../src/node/record/store.ts';
import { openWatch, type RecordWatch } from '../../../src/node/record/watch.ts';
import { GRID, makeKnowledge, NODE_ID, NOW_MS, OFFER_ID, PRICES } from '../contracts.ts';
import { policyOf } from '../record/signers.ts';

export type TestHoldings = {
  readonly holdings: Holdings;
  readonly watch: RecordWatch;
  /** What was not taken, by its name. */
  readonly bad: readonly string[];
};

/** What a node holds, over a contract store and a folder for what it saw of the record. */
export async function openTestHoldings(parts: {
  readonly store: ContractStore;
  readonly recordFolder: string;
  readonly opens?: Parameters<typeof openHoldings>[0]['opens'];
}): Promise<TestHoldings> {
  const bad: string[] = [];
  const watch = await openWatch({
    policy: policyOf(2),
    store: await openRecordStore(parts.recordFolder),
    nowMs: () => NOW_MS,
    say: () => undefined,
    onCalm: () => undefined,
  });
  const holdings = await openHoldings({
    store: parts.store,
    grid: GRID,
    node: NODE_ID,
    standing: () => new Map([[OFFER_ID, PRICES]]),
    opens: parts.opens ?? OPENS_ELSEWHERE,
    class: 'unverified',
    total: makeKnowledge().total,
    watch,
    onBad: (what) => bad.push(what),
  });
  return { holdings, watch, bad };
}
