import { expect, test } from 'vitest';
import { codeOf } from '../../../src/lib/errors.ts';
import { signTurnWish, signUpdatePolicy } from '../../../src/rollout/verify.ts';
import { GRID, makePerson, type Person } from '../../support/contracts.ts';
import { openDirectory } from '../../support/directory.ts';
import { NEW, nextSeq, OLD, openFarm } from './farm.ts';

test('a policy by anybody but the farmer, or an older one, changes nothing', async () => {
  await using directory = await openDirectory();
  const { farmer, policyOf, sign } = await openFarm(directory, 1);
  const other = await openFarm(directory, 1);
  const { client } = directory;
  const put = async (signer: Person, over = {}, farm = farmer.farmId): Promise<string> =>
    client
      .putUpdatePolicy(farm, signUpdatePolicy(policyOf(over), signer.keys.signing))
      .then(() => 'taken', codeOf);
  await sign({ version: 5 });
  const before = await client.updates(farmer.farmId);
  expect(await put(makePerson('stranger'), { version: 6 })).toBe('ENVELOPE_UNTRUSTED');
  expect(await put(other.farmer, { version: 6 })).toBe('ENVELOPE_UNTRUSTED');
  expect(await put(farmer, { version: 6 }, other.farmer.farmId)).toBe('ENVELOPE_UNTRUSTED');
  expect(await put(farmer, { version: 6, farm: other.farmer.farmId })).toBe('POLICY_FOREIGN');
  expect(await put(farmer, { version: 6 }, 'ee'.repeat(32))).toBe('FARM_UNKNOWN');
  expect(await put(farmer, { version: 4 })).toBe('POLICY_OLD');
  expect(await put(farmer, { version: 5, sharePercent: 100 })).toBe('POLICY_OLD');
  expect(await client.updates(farmer.farmId)).toEqual(before);
  expect(await put(farmer, { version: 5 })).toBe('taken');
});

test('of many policies that are sent at once the newest is left', async () => {
  await using directory = await openDirectory();
  const { farmer, policyOf, sign } = await openFarm(directory, 1);
  const versions = [3, 9, 1, 7, 8, 2, 6, 4, 5];
  await Promise.allSettled(
    versions.map(async (version) => sign({ version, sharePercent: version })),
  );
  const held = (await directory.client.updates(farmer.farmId)).updatePolicy?.policy;
  expect(held).toEqual(
    signUpdatePolicy(policyOf({ version: 9, sharePercent: 9 }), farmer.keys.signing),
  );
  expect(await sign({ version: 9, sharePercent: 9 }).then(() => 'same', codeOf)).toBe('same');
});

test('a wish counts once, for the node that signed it', async () => {
  await using directory = await openDirectory();
  const { nodes, turns } = await openFarm(directory, 2);
  const [a, b] = nodes as [Person, Person];
  const { client, clock } = directory;
  const about = { grid: GRID, node: a.id, atMs: clock.nowMs, what: 'system' as const, from: OLD };
  const wish = signTurnWish({ ...about, seq: nextSeq(), to: NEW }, a.keys.signing);
  expect(await client.takeTurn(b.id, wish).catch(codeOf)).toBe('TURN_FOREIGN');
  const forged = signTurnWish({ ...about, seq: nextSeq(), to: NEW }, b.keys.signing);
  expect(await client.takeTurn(a.id, forged).catch(codeOf)).toBe('ENVELOPE_UNTRUSTED');
  expect(await turns()).toEqual([]);
  await client.takeTurn(a.id, wish);
  expect(await client.takeTurn(a.id, wish).catch(codeOf)).toBe('TURN_OLD');
  clock.nowMs += 6 * 60_000;
  const late = signTurnWish({ ...about, seq: nextSeq(), to: NEW }, a.keys.signing);
  expect(await client.takeTurn(a.id, late).catch(codeOf)).toBe('TURN_STALE');
});

test('nodes get their farmer’s policy with what they shall have, and hear of a newer one', async () => {
  await using directory = await openDirectory();
  const { nodes, sign } = await openFarm(directory, 1);
  const [a] = nodes as [Person];
  const { store, clock } = directory;
  const before = await store.wants(a.id, clock.nowMs);
  expect(before?.updatePolicy).toBeUndefined();
  await sign();
  const after = await store.wants(a.id, clock.nowMs);
  expect(after?.updatePolicy?.policy.payloadType).toContain('update-policy');
  expect(after?.revision).toBeGreaterThan(before?.revision ?? 0);
});
