import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import type { Person } from '../../support/contracts.ts';
import { openDirectory } from '../../support/directory.ts';
import { markOf, NEW, openFarm } from './farm.ts';

const NODES = 5;

type Operation = { readonly do: 'ask' | 'come-back' | 'find-bad' | 'beat'; readonly node: number };

const operation: fc.Arbitrary<Operation> = fc.record({
  do: fc.constantFrom('ask', 'ask', 'ask', 'come-back', 'beat', 'find-bad'),
  node: fc.nat(NODES - 1),
});

/** Rounds of operations that race, one a node; the clock moves between rounds. */
const rounds = fc.array(
  fc.record({
    passMs: fc.constantFrom(0, SECOND_MS, MINUTE_MS, 6 * MINUTE_MS),
    operations: fc.uniqueArray(operation, { minLength: 1, selector: ({ node }) => node }),
  }),
  { minLength: 1, maxLength: 6 },
);

test('the share is never exceeded, and after a bad one nobody goes, whatever races', async () => {
  await using directory = await openDirectory();
  const { clock, store } = directory;
  const counts = { granted: 0, waited: 0, stopped: 0 };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(20, 40, 60), rounds, async (sharePercent, all) => {
      const farm = await openFarm(directory, NODES);
      const atOnce = (NODES * sharePercent) / 100;
      await farm.sign({ sharePercent });
      await store.sweep(clock.nowMs);
      /** Who was told to go and did not end it, counted by what was answered and sent alone. */
      const going = new Set<string>();
      let isBad = false;
      const run = async (wish: Operation): Promise<void> => {
        const node = farm.nodes[wish.node] as Person;
        if (wish.do === 'ask') {
          const judgement = await farm.ask(node);
          if (judgement.may) going.add(node.id);
          else going.delete(node.id);
          counts[judgement.may ? 'granted' : 'waited'] += 1;
        } else if (wish.do === 'come-back' && going.has(node.id)) {
          await farm.beat(node, { system: NEW });
          going.delete(node.id);
        } else if (wish.do === 'find-bad' && going.has(node.id)) {
          await farm.beat(node, { bad: [markOf(clock, 1)] });
          going.delete(node.id);
          isBad = true;
        } else {
          await farm.beat(node);
        }
      };
      for (const { passMs, operations } of all) {
        clock.nowMs += passMs;
        await store.sweep(clock.nowMs);
        const turns = await farm.turns();
        for (const { node, state } of turns) if (state === 'bad') going.delete(node);
        isBad ||= turns.some(({ state }) => state === 'bad');
        const before = new Set(going);
        const wasBad = isBad;
        await Promise.all(operations.map(run));
        const open = (await farm.turns()).filter(({ state }) => state === 'open');
        expect(open.length).toBeLessThanOrEqual(atOnce);
        expect(new Set(open.map(({ node }) => node))).toEqual(going);
        if (!wasBad) continue;
        counts.stopped += 1;
        expect([...going].filter((node) => !before.has(node))).toEqual([]);
      }
    }),
    { numRuns: 60 },
  );
  // The property says nothing unless all of it happened.
  expect(Math.min(counts.granted, counts.waited, counts.stopped)).toBeGreaterThan(20);
}, 120_000);
