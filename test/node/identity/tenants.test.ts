import { expect, test } from 'vitest';
import { bundleOf } from '../../../src/identity/bundle.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { changeIdentity, undoChanges } from '../../../src/identity/operation.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { openTenants, type Tenants } from '../../../src/node/identity/tenants.ts';
import { makeOwner, makeTeam } from '../../support/identity/people.ts';

const [alice, bob] = [makeOwner('alice'), makeOwner('bob')];
const rotated = changeIdentity(alice.chain, { name: 'alice2' }, alice.keys.rotation);
const undone = undoChanges(rotated, { from: 1 }, alice.recovery);
const [first, second, saved] = [alice.chain, rotated, undone].map((chain) =>
  verifyIdentity(bundleOf(chain)),
);
if (first === undefined || second === undefined || saved === undefined) throw new Error('three');

function verdict(tenants: Tenants, identity: typeof first, nowMs = 1): string {
  try {
    if (identity !== undefined) tenants.take(identity, nowMs);
    return 'taken';
  } catch (error) {
    return codeOf(error);
  }
}

test('keys that a node has seen replaced sign nothing new there', () => {
  const tenants = openTenants();
  expect(verdict(tenants, first)).toBe('taken');
  expect(verdict(tenants, second)).toBe('taken');
  expect(verdict(tenants, first)).toBe('IDENTITY_OLD');
  expect(verdict(tenants, second)).toBe('taken');
});

test('what was undone does not come back, and is undone within 72 hours only', () => {
  const tenants = openTenants();
  tenants.take(second, 1);
  expect(verdict(tenants, saved, 72 * HOUR_MS + 1)).toBe('taken');
  expect(verdict(tenants, second, 72 * HOUR_MS + 1)).toBe('IDENTITY_FORKED');
  const late = openTenants();
  late.take(second, 1);
  expect(verdict(late, saved, 72 * HOUR_MS + 2)).toBe('UNDO_LATE');
});

test('what a node holds is recalled in any order, and counts', () => {
  for (const order of [
    [first, second],
    [second, first],
  ]) {
    const tenants = openTenants();
    for (const identity of order) tenants.recall(identity);
    expect(verdict(tenants, first)).toBe('IDENTITY_OLD');
    expect(verdict(tenants, second)).toBe('taken');
  }
});

test('a member’s replaced keys sign nothing new for a team either', () => {
  const tenants = openTenants();
  tenants.take(second, 1);
  const team = verifyIdentity(makeTeam('ops', [alice, bob], 1).bundle);
  expect(verdict(tenants, team)).toBe('IDENTITY_OLD');
});
