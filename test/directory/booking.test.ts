import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addResources, NO_RESOURCES, type Resources } from '../../src/capacity/spec.ts';
import { contractDigest, signCancellation } from '../../src/contract/sign.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { GiB, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/lib/units.ts';
import { GRID, makePerson, type Person } from '../support/contracts.ts';
import { joinNode, openDirectory, type TestDirectory } from '../support/directory.ts';
import { CAPACITY, contractFor, makeFarmer, makeReceipt } from '../support/identity/farm.ts';

type Node = Awaited<ReturnType<typeof joinNode>>;

/** What the node's contracts hold by the states that anybody can read, added up here. */
async function heldIn(directory: TestDirectory, node: Node): Promise<Resources> {
  const { items } = await directory.client.contracts({ node: node.id, limit: 200 });
  const holding = items.filter(({ state }) =>
    ['reserved', 'accepted', 'running', 'cancelled'].includes(state),
  );
  return holding.reduce((sum, { resources }) => addResources(sum, resources), NO_RESOURCES);
}

test('of many that ask at once, just as many get in as there is room for', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const tenants = [makePerson('one'), makePerson('two')];
  const resources = { cpuMillis: 300, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 };
  const asks = Array.from({ length: 40 }, (_, i) =>
    contractFor(tenants[i % 2] as Person, node, { resources }),
  );
  const codes = await Promise.all(
    asks.map(async (carried) =>
      directory.client.submitContract(carried).then(() => 'taken', codeOf),
    ),
  );
  const taken = Math.floor((CAPACITY.cru * 1000) / resources.cpuMillis);
  expect(codes.filter((code) => code === 'taken')).toHaveLength(taken);
  expect(codes.filter((code) => code === 'NO_ROOM')).toHaveLength(asks.length - taken);
  expect((await heldIn(directory, node)).cpuMillis).toBe(taken * resources.cpuMillis);
});

type Operation =
  | { do: 'ask'; cpuMillis: number; memoryGiB: number }
  | { do: 'say'; of: number; state: 'accepted' | 'running' | 'refused' | 'ended' }
  | { do: 'cancel'; of: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      cpuMillis: fc.integer({ min: 1, max: 2500 }),
      memoryGiB: fc.integer({ min: 0, max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      of: fc.nat(),
      state: fc.constantFrom('accepted', 'running', 'refused', 'ended'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), of: fc.nat() }) },
);

/** Rounds of operations that race with each other; the clock moves between rounds. */
const rounds = fc.array(
  fc.record({
    passMs: fc.constantFrom(0, SECOND_MS, MINUTE_MS),
    operations: fc.array(operation, { minLength: 1, maxLength: 8 }),
  }),
  { minLength: 1, maxLength: 6 },
);

test('nothing is ever booked twice, whatever races with whatever', async () => {
  await using directory = await openDirectory();
  const tenant = makePerson('tenant');
  const farmer = makeFarmer();
  const total = { cpuMillis: CAPACITY.cru * 1000, memoryBytes: CAPACITY.mruBytes };
  let takenCount = 0;
  let refusedCount = 0;
  let seq = 0;
  const run = async (node: Node, ids: string[], wish: Operation): Promise<void> => {
    const { client } = directory;
    const id = wish.do === 'ask' ? undefined : ids[wish.of % Math.max(1, ids.length)];
    if (wish.do === 'ask') {
      const { cpuMillis, memoryGiB } = wish;
      const resources = { cpuMillis, memoryBytes: memoryGiB * GiB, ssdBytes: 0, hddBytes: 0 };
      const now = directory.clock.nowMs;
      const times = { notBeforeMs: now - HOUR_MS, notAfterMs: now + 3 * MINUTE_MS };
      const carried = contractFor(tenant, node, { resources, ...times });
      await client.submitContract(carried);
      ids.push(contractDigest(carried.contract));
      takenCount += 1;
    } else if (id !== undefined && wish.do === 'say') {
      // A node speaks late of nothing that lapsed: then it is believed, which books on purpose.
      const { reservedUntilMs } = await client.contract(id);
      if ((reservedUntilMs ?? 0) <= directory.clock.nowMs) return;
      seq += 1;
      await client.putReceipt(makeReceipt(node, id, { seq, state: wish.state }));
    } else if (id !== undefined) {
      const atMs = directory.clock.nowMs;
      const wanted = { grid: GRID, contract: id, tenant: tenant.id, node: node.id, atMs };
      const cancellation = signCancellation(wanted, tenant.keys.signing);
      await client.cancelContract({ cancellation, tenant: tenant.document });
    }
  };
  await fc.assert(
    fc.asyncProperty(rounds, async (all) => {
      const node = await joinNode(directory, farmer);
      const ids: string[] = [];
      for (const { passMs, operations } of all) {
        directory.clock.nowMs += passMs;
        const outcomes = await Promise.allSettled(
          operations.map(async (wish) => run(node, ids, wish)),
        );
        refusedCount += outcomes.filter(({ status }) => status === 'rejected').length;
        await directory.store.sweep(directory.clock.nowMs);
        const held = await heldIn(directory, node);
        expect(held.cpuMillis).toBeLessThanOrEqual(total.cpuMillis);
        expect(held.memoryBytes).toBeLessThanOrEqual(total.memoryBytes);
        expect((await directory.client.node(node.id)).used).toEqual(held);
      }
    }),
    { numRuns: 25 },
  );
  // The property says nothing unless both happened.
  expect(takenCount).toBeGreaterThan(20);
  expect(refusedCount).toBeGreaterThan(20);
}, 120_000);
