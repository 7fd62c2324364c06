import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifyIdentity } from '../../src/identity/document.ts';
import {
  followName,
  type Holding,
  holderOf,
  signClaim,
  type VerifiedClaim,
  verifyClaim,
} from '../../src/phonebook/name.ts';
import type { Claim } from '../../src/phonebook/spec.ts';
import { GRID, makePerson, type Person } from '../support/contracts.ts';

const [alice, bob] = [makePerson('alice'), makePerson('bob')];

function claimOf(person: Person, changes: Partial<Claim> = {}): VerifiedClaim {
  const base = { grid: GRID, name: 'shop', owner: person.id, version: 1, previous: null };
  const envelope = signClaim({ ...base, state: 'held', ...changes }, person.keys.signing);
  return verifyClaim(envelope, verifyIdentity(person.document), GRID);
}

function after(held: Holding | undefined, person: Person, state: Claim['state']): VerifiedClaim {
  const version = (held?.version ?? 0) + 1;
  return claimOf(person, { version, previous: held?.digest ?? null, state });
}

test('the first to claim a name has it, until it gives it up', () => {
  const first = claimOf(alice);
  const held = followName(undefined, first);
  expect(held).toMatchObject({ name: 'shop', owner: alice.id, version: 1 });
  expect(followName(held, first)).toBe(held);
  expect(() => followName(held, claimOf(bob))).toThrow(/held by another/u);
  expect(() => followName(held, after(held, bob, 'held'))).toThrow(/held by another/u);
  expect(() => followName(held, after(held, bob, 'released'))).toThrow(/held by another/u);
  expect(() => followName(held, after(held, alice, 'held'))).toThrow(/hold .* already/u);
  const free = followName(held, after(held, alice, 'released'));
  expect(() => followName(free, claimOf(bob))).toThrow(/does not follow/u);
  const again = after(free, bob, 'held');
  expect(followName(free, again).owner).toBe(bob.id);
  const claims = [first, after(held, alice, 'released'), again];
  expect(holderOf('shop', claims)?.owner).toBe(bob.id);
  expect(holderOf('shop', claims.slice(0, 2))).toBe(undefined);
});

describe('claims that are refused', () => {
  const first = claimOf(alice);
  const held = followName(undefined, first);
  const released = after(held, alice, 'released');
  const ways: [string, string, readonly VerifiedClaim[]][] = [
    ['the second claim without the first', 'NAME_OLD', [after(released, bob, 'held')]],
    ['a release of what nobody holds', 'NAME_FREE', [claimOf(alice, { state: 'released' })]],
    ['a version left out', 'NAME_OLD', [first, { ...released, version: 3 }]],
    ['another name among them', 'NAME_GAP', [claimOf(alice, { name: 'other' })]],
    ['one shown twice', 'NAME_GAP', [first, first]],
    ['a stranger behind the holder', 'NAME_TAKEN', [first, after(held, bob, 'released')]],
  ];
  test.each(ways)('%s: %s', (...[, code, claims]) => {
    expect(() => holderOf('shop', claims)).toThrow(expect.objectContaining({ code }));
  });

  test('a claim of another grid, or signed by another', () => {
    const claim = { grid: 'else', name: 'shop', owner: alice.id, version: 1, previous: null };
    const foreign = signClaim({ ...claim, state: 'held' }, alice.keys.signing);
    const forged = signClaim({ ...claim, grid: GRID, state: 'held' }, bob.keys.signing);
    const identity = verifyIdentity(alice.document);
    const refusal = (code: string) => expect.objectContaining({ code });
    expect(() => verifyClaim(foreign, identity, GRID)).toThrow(refusal('NAME_FOREIGN'));
    expect(() => verifyClaim(forged, identity, GRID)).toThrow(refusal('ENVELOPE_UNTRUSTED'));
    const borrowed = verifyIdentity(bob.document);
    expect(() => verifyClaim(forged, borrowed, GRID)).toThrow(refusal('NAME_FOREIGN'));
  });
});

test('in whatever order claims come, a name never leaves who holds it without their word', () => {
  const people = [alice, bob];
  const step = fc.record({
    who: fc.constantFrom(0, 1),
    state: fc.constantFrom('held' as const, 'released' as const),
    isFresh: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let held: Holding | undefined;
      for (const { who, state, isFresh } of steps) {
        const person = people[who] ?? alice;
        const before: Holding | undefined = held;
        try {
          held = followName(before, after(isFresh ? before : undefined, person, state));
        } catch {
          held = before;
        }
        if (before?.state !== 'held' || held === before) continue;
        expect([held?.owner, held?.state]).toEqual([before.owner, 'released']);
        expect(person.id).toBe(before.owner);
      }
    }),
    { numRuns: 20 },
  );
});
