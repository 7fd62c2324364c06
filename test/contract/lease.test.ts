import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Boot, judgeBoot, type Lease, LEASE_MS } from '../../src/contract/health/lease.ts';

const BEAT_MS = 30_000;

/** Signs of life, one after the other; answers who was fenced at each. */
function told(boots: readonly Boot[], everyMs = BEAT_MS): boolean[] {
  let lease: Lease | undefined;
  return boots.map((boot, index) => {
    const judged = judgeBoot(lease, boot, index * everyMs);
    lease = judged.lease;
    return judged.fencedBecause !== null;
  });
}

const first: Boot = { bootId: 'first', boots: 7 };
const again: Boot = { bootId: 'again', boots: 8 };

test('a machine that starts again and again is one node, and never fenced', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 }), (beats) => {
      const all = beats.flatMap((count, boot) =>
        Array.from({ length: count }, () => ({ bootId: `b${boot}`, boots: boot + 1 })),
      );
      expect(told(all)).not.toContain(true);
    }),
  );
});

test('a copy that counts fewer starts is fenced, however long the node is silent', () => {
  expect(told([first, again, { bootId: 'copy', boots: 5 }], 100 * LEASE_MS)).toEqual([
    false,
    false,
    true,
  ]);
});

test('a copy of now looks like a start, until the machine that it was copied from speaks', () => {
  const copy: Boot = { bootId: 'copy', boots: 8 };
  const heard = told([first, copy, first, copy, first, copy]);
  expect(heard.map((isFenced) => (isFenced ? 'fenced' : 'node')).join(' ')).toBe(
    'node node node fenced node fenced',
  );
});

test('two machines that start from the same copy: one is the node', () => {
  const other: Boot = { bootId: 'other', boots: 8 };
  expect(told([again, other, again, other])).toEqual([false, true, false, true]);
});

test('where starts can not be counted, the next one waits until the one before is silent', () => {
  const same: Boot = { bootId: 'same', boots: 7 };
  expect(told([first, same], BEAT_MS)).toEqual([false, true]);
  expect(told([first, same], LEASE_MS + 1)).toEqual([false, false]);
});

test('of any two machines that go on speaking, at most one is not fenced in the end', () => {
  const anyBoot = fc.record({ bootId: fc.constantFrom('a', 'b'), boots: fc.constant(0) });
  fc.assert(
    fc.property(
      fc.array(anyBoot, { maxLength: 12 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      (speaking, boots, others) => {
        const both: Boot[] = [
          { bootId: 'a', boots },
          { bootId: 'b', boots: others },
        ];
        const history = speaking.map(({ bootId }) => both[bootId === 'a' ? 0 : 1] as Boot);
        const end = told([...history, ...both, ...both, ...both]).slice(-2);
        expect(end.filter((isFenced) => !isFenced)).toHaveLength(1);
      },
    ),
  );
});
