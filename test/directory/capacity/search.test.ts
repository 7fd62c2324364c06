import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Offer } from '../../../src/capacity/spec.ts';
import { signTerms, type Terms } from '../../../src/capacity/farm/terms.ts';
import { untrustedPayload } from '../../../src/identity/envelope.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { GiB, MiB } from '../../../src/lib/units.ts';
import type { CapacityQuery } from '../../../src/sdk/calls/farms.ts';
import { GRID, makePerson, type Person } from '../../support/contracts.ts';
import { openDirectory, type TestDirectory } from '../../support/directory.ts';
import {
  contractFor,
  type Farmer,
  makeFarmer,
  makeOffer,
  makeReceipt,
  makeToken,
} from '../../support/identity/farm.ts';

const PRICES = { computeHourMicros: 12_500, storageHourMicros: 4000, networkMicros: 10 };

let directory: TestDirectory;
const [belgian, kenyan, unknown] = [makeFarmer('b'), makeFarmer('k'), makeFarmer('u')];
const nodes = new Map<string, Person & { offerId: string }>();

function termsOf(farmer: Farmer, over: Partial<Terms> = {}): Terms {
  return {
    grid: GRID,
    farm: farmer.farmId,
    farmer: farmer.id,
    version: 1,
    location: { country: 'BE', city: 'Ghent', at: { latitudeTenths: 511, longitudeTenths: 37 } },
    payout: null,
    prices: PRICES,
    ...over,
  };
}

async function putTerms(farmer: Farmer, over: Partial<Terms> = {}): Promise<void> {
  const terms = signTerms(termsOf(farmer, over), farmer.keys.signing);
  await directory.client.putTerms(farmer.farmId, terms);
}

async function join(name: string, farmer: Farmer, over: Partial<Offer>): Promise<void> {
  const node = makePerson(name);
  const offer = makeOffer(node, { ...over });
  await directory.client.registerNode({
    identity: node.document,
    token: makeToken(farmer),
    farmer: farmer.document,
    offer,
  });
  nodes.set(name, { ...node, offerId: sha256Hex(untrustedPayload(offer, 'offer')) });
}

async function found(wish: CapacityQuery): Promise<string[]> {
  const { items } = await directory.client.capacity(wish);
  return items.map(({ id }) => [...nodes].find(([, node]) => node.id === id)?.[0] ?? id);
}

beforeAll(async () => {
  directory = await openDirectory();
  for (const farmer of [belgian, kenyan, unknown]) {
    await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  }
  await putTerms(belgian);
  await putTerms(kenyan, { location: { country: 'KE', city: null, at: null } });
  const big = { cru: 32, mruBytes: 128 * GiB, sruBytes: 1000 * GiB, hruBytes: 0 };
  const disks = { cru: 4, mruBytes: 8 * GiB, sruBytes: 10 * GiB, hruBytes: 4000 * GiB };
  const asked = { prices: PRICES, termsVersion: 1 };
  await join('ghent', belgian, { ...asked, capacity: big, class: 'verified' });
  await join('aalst', belgian, { ...asked, capacity: disks, features: ['tpm', 'x86-64-v2'] });
  const dear = { ...PRICES, computeHourMicros: 50_000 };
  await join('mombasa', kenyan, { prices: dear, termsVersion: 1, class: 'attested' });
  await join('nowhere', unknown, {});
  const alone = makePerson('alone');
  await directory.client.registerNode({
    identity: alone.document,
    token: null,
    farmer: null,
    offer: makeOffer(alone),
  });
});
afterAll(async () => directory[Symbol.asyncDispose]());

test.each([
  [{}, ['ghent', 'aalst', 'mombasa', 'nowhere']],
  [{ country: 'BE' }, ['ghent', 'aalst']],
  [{ country: 'FR' }, []],
  [{ cpuMillis: 4001 }, ['ghent']],
  [{ memoryBytes: 8 * GiB }, ['ghent', 'aalst']],
  [{ memoryBytes: 8 * GiB + 1 }, ['ghent']],
  [{ ssdBytes: 11 * GiB }, ['ghent']],
  [{ hddBytes: 1 }, ['aalst']],
  [{ class: 'verified' }, ['ghent', 'mombasa']],
  [{ class: 'attested' }, []],
  [{ features: 'tpm' }, ['aalst']],
  [{ features: 'x86-64-v2,tpm' }, ['aalst']],
  [{ features: 'tpm,virtualization' }, []],
  [{ farm: kenyan.farmId }, ['mombasa']],
  [{ farm: 'ab'.repeat(32) }, []],
  [{ isOnline: 'true' }, []],
  // Two processors and 4 GiB are one compute unit: 0.0125 of Belgians, 0.05 in Kenya.
  [{ cpuMillis: 2000, memoryBytes: 2 * GiB, hourMicrosMax: 12_500 }, ['ghent', 'aalst']],
  [{ country: 'BE', cpuMillis: 1000, memoryBytes: GiB, features: 'tpm' }, ['aalst']],
] as const)('a search for %j finds %j', async (wish, names) => {
  expect((await found(wish)).filter((name) => name !== 'nowhere')).toEqual(
    names.filter((name) => name !== 'nowhere'),
  );
});

test('a node with no farm is for nobody yet, and one with no terms is free and nowhere', async () => {
  expect(await found({})).toEqual(['ghent', 'aalst', 'mombasa', 'nowhere']);
  const { items } = await directory.client.capacity({ farm: unknown.farmId });
  expect(items).toMatchObject([{ location: null }]);
});

test('pages follow one another and leave nothing out', async () => {
  const seen: string[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof directory.client.capacity>> =
      await directory.client.capacity({ cursor, limit: 1 });
    expect(page.items).toHaveLength(1);
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  }
  expect(seen).toHaveLength(4);
  expect(new Set(seen).size).toBe(4);
});

test('what a contract books is no longer found, and is again when the contract is over', async () => {
  const tenant = makePerson('tenant');
  const ghent = nodes.get('ghent');
  if (ghent === undefined) throw new Error('ghent is missing');
  const resources = { cpuMillis: 30_000, memoryBytes: 64 * MiB, ssdBytes: 8 * MiB, hddBytes: 0 };
  const contract = contractFor(tenant, ghent, { resources, price: PRICES });
  const { id, digest } = await directory.client.submitContract(contract);
  expect(await found({ cpuMillis: 4000 })).not.toContain('ghent');
  expect(await found({ cpuMillis: 2000 })).toContain('ghent');
  const [shown] = (await directory.client.capacity({ country: 'BE', limit: 1 })).items;
  expect(shown).toMatchObject({ used: resources, location: { country: 'BE', city: 'Ghent' } });
  const refusal = { code: 'NO_ROOM', sentence: 'none' };
  const said = { digest, state: 'refused', refusal } as const;
  await directory.client.putReceipt(makeReceipt(ghent, id, said));
  expect(await found({ cpuMillis: 4000 })).toContain('ghent');
});

test('until a node asks by the newest terms of the farmer, nobody can agree to its old price', async () => {
  const farmer = makeFarmer('slow');
  await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  await join('slow', farmer, {});
  const slow = nodes.get('slow');
  if (slow === undefined) throw new Error('slow is missing');
  await putTerms(farmer);
  const contract = contractFor(makePerson('tenant'), slow);
  const refused = await directory.client.submitContract(contract).catch(codeOf);
  expect(refused).toBe('OFFER_STALE');
});

test.each([
  ['TERMS_FOREIGN', { farm: kenyan.farmId }, belgian],
  ['TERMS_FOREIGN', { grid: 'other' }, belgian],
  ['TERMS_FOREIGN', { farmer: kenyan.id }, belgian],
  ['ENVELOPE_UNTRUSTED', {}, kenyan],
  ['TERMS_OLD', { payout: 'changed' }, belgian],
] as const)('terms are refused with %s', async (code, over, signer) => {
  const terms = signTerms(termsOf(belgian, over), signer.keys.signing);
  const refused = await directory.client.putTerms(belgian.farmId, terms).catch(codeOf);
  expect(refused).toBe(code);
  const { terms: kept } = await directory.client.farm(belgian.farmId);
  expect(kept).toEqual(signTerms(termsOf(belgian), belgian.keys.signing));
});

test('the same terms again change nothing, and a farm that is not there has none', async () => {
  await putTerms(belgian);
  expect(await directory.client.farm('ab'.repeat(32)).catch(codeOf)).toBe('NOT_FOUND');
  const terms = signTerms(termsOf(belgian), belgian.keys.signing);
  const refused = await directory.client.putTerms('ab'.repeat(32), terms).catch(codeOf);
  expect(refused).toBe('FARM_UNKNOWN');
});

test.each([
  '?country=be',
  '?country=XX',
  '?cpuMillis=-1',
  '?features=flying',
  '?class=best',
  '?limit=1000',
  '?memoryBytes=99999999999999999',
  '?unknown=1',
])('a search written %s is refused', async (query) => {
  const wish = Object.fromEntries(new URLSearchParams(query));
  const refused: unknown = await directory.client.capacity(wish).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'BODY_MALFORMED', facts: { status: 400 } });
});
