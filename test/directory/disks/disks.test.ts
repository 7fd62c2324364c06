import { beforeEach, afterEach, expect, test } from 'vitest';
import { verifyFence } from '../../../src/contract/health/lease.ts';
import { type DiskConsent, signConsent } from '../../../src/disk/consent.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { signEnvelope } from '../../../src/identity/envelope.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { GRID, type Person } from '../../support/contracts.ts';
import { joinNode, openDirectory, signingOf, type TestDirectory } from '../../support/directory.ts';
import { type Farmer, freshNonce, HEARTBEAT, makeFarmer } from '../../support/identity/farm.ts';

let directory: TestDirectory;
let farmer: Farmer;
let node: Person;
let seq = 0;

beforeEach(async () => {
  directory = await openDirectory();
  farmer = makeFarmer();
  node = await joinNode(directory, farmer);
});
afterEach(async () => directory[Symbol.asyncDispose]());

async function beat(bootId: string, boots: number) {
  seq += 1;
  const { nowMs: atMs } = directory.clock;
  const life = { ...HEARTBEAT, bootId, boots, grid: GRID, node: node.id, seq, atMs };
  return directory.client.putHeartbeat(signEnvelope('heartbeat', life, node.keys.signing));
}

test('a copy of a node is told so by a word that the directory signed for it alone', async () => {
  await beat('first', 3);
  await beat('second', 4);
  expect((await beat('copy', 2)).fence).toBeDefined();
  const { fence } = await beat('copy', 2);
  if (fence === undefined) throw new Error('it was not fenced');
  const own = verifyIdentity(directory.own.document);
  const expected = { grid: GRID, node: node.id, bootId: 'copy' };
  expect(verifyFence(fence, own, expected).because).toContain('counts 2 starts');
  const forOther = { ...expected, bootId: 'second' };
  expect(() => verifyFence(fence, own, forOther)).toThrow('another start');
});

test('what a copy says of itself is not shown, and the node hears that there is one', async () => {
  expect((await beat('first', 3)).hasRival).toBe(false);
  await beat('copy', 4);
  expect((await beat('first', 3)).fence).toBeUndefined();
  expect((await beat('copy', 4)).fence).toBeDefined();
  const shown = await directory.client.node(node.id);
  expect(shown.heartbeat?.payload.bootId).toBe('first');
  expect((await beat('first', 3)).hasRival).toBe(true);
});

function consentOf(changes: Partial<DiskConsent> = {}): DiskConsent {
  return {
    grid: GRID,
    farm: farmer.farmId,
    farmer: farmer.id,
    node: node.id,
    serial: 'S1',
    do: 'wipe',
    nonce: freshNonce(),
    notAfterMs: directory.clock.nowMs + HOUR_MS,
    ...changes,
  };
}

async function consentsOf(whose: Person) {
  const wants = await directory.client.wants(signingOf(whose, directory.clock), { waitMs: 0 });
  return wants?.diskConsents ?? [];
}

test('a farmer’s word on a disk reaches its node, and no other, until it ends', async () => {
  const other = await joinNode(directory, farmer);
  const consent = signConsent(consentOf(), farmer.keys.signing);
  await directory.client.putDiskConsent(farmer.farmId, consent);
  expect((await consentsOf(node)).map((each) => each.consent)).toEqual([consent]);
  expect(await consentsOf(other)).toEqual([]);
  directory.clock.nowMs += HOUR_MS + 1;
  expect(await consentsOf(node)).toEqual([]);
});

test('a word by anybody else, for another farm, or past its end is refused', async () => {
  const stranger = makeFarmer('stranger');
  const put = async (consent: DiskConsent, by: Person): Promise<string> =>
    directory.client
      .putDiskConsent(farmer.farmId, signConsent(consent, by.keys.signing))
      .then(() => 'taken', codeOf);
  expect(await put(consentOf(), stranger)).toBe('ENVELOPE_UNTRUSTED');
  expect(await put(consentOf({ farm: '00'.repeat(32) }), farmer)).toBe('CONSENT_FOREIGN');
  expect(await put(consentOf({ notAfterMs: 1 }), farmer)).toBe('CONSENT_EXPIRED');
  expect(await put(consentOf({ node: '11'.repeat(32) }), farmer)).toBe('NODE_UNKNOWN');
});
