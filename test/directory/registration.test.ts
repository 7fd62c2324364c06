import { expect, test } from 'vitest';
import { signEnvelope } from '../../src/identity/envelope.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { HOUR_MS } from '../../src/lib/units.ts';
import type { NodeBody } from '../../src/sdk/index.ts';
import { GRID, makePerson, NOW_MS, type Person } from '../support/contracts.ts';
import { joinNode, openDirectory, type TestDirectory } from '../support/directory.ts';
import {
  CAPACITY,
  contractFor,
  type Farmer,
  makeFarmer,
  makeOffer,
  makeToken,
} from '../support/identity/farm.ts';

function joining(node: Person, farmer: Farmer, changes: Partial<NodeBody> = {}): NodeBody {
  return {
    identity: node.document,
    token: makeToken(farmer),
    farmer: farmer.document,
    offer: makeOffer(node),
    ...changes,
  };
}

async function verdict(directory: TestDirectory, body: NodeBody): Promise<string> {
  try {
    return (await directory.client.registerNode(body)).state;
  } catch (error) {
    return codeOf(error);
  }
}

async function withFarm(): Promise<TestDirectory & { farmer: Farmer; node: Person }> {
  const directory = await openDirectory();
  const farmer = makeFarmer();
  await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  return { ...directory, farmer, node: makePerson('node') };
}

test('a token lets one node in, and that node again, but no other', async () => {
  await using directory = await withFarm();
  const { client, farmer, node, clock } = directory;
  const body = joining(node, farmer);
  const joined = { id: node.id, state: 'joined', farm: farmer.farmId };
  expect(await client.registerNode(body)).toEqual(joined);
  expect(await client.registerNode(body)).toEqual(joined);
  const other = makePerson('other');
  const reused = joining(other, farmer, { token: body.token });
  expect(await verdict(directory, reused)).toBe('TOKEN_USED');
  expect((await client.nodes()).items.map(({ id }) => id)).toEqual([node.id]);
  // Its boot media stay in the machine: what let it in once does so after the token's end too.
  clock.nowMs += 2 * HOUR_MS;
  expect(await client.registerNode(body)).toEqual(joined);
  expect(await verdict(directory, joining(other, farmer))).toBe('TOKEN_EXPIRED');
});

test('two nodes that race for one token: one gets it', async () => {
  await using directory = await withFarm();
  const token = makeToken(directory.farmer);
  const nodes = Array.from({ length: 8 }, () => makePerson('racer'));
  const verdicts = await Promise.all(
    nodes.map(async (node) => verdict(directory, joining(node, directory.farmer, { token }))),
  );
  expect(verdicts.toSorted()).toEqual(
    ['TOKEN_USED', 'joined'].flatMap((word) =>
      word === 'joined' ? [word] : Array.from({ length: 7 }, () => word),
    ),
  );
});

test('a node without a token waits and takes no contract until it has one', async () => {
  await using directory = await withFarm();
  const { client, farmer, node } = directory;
  const offer = makeOffer(node);
  const waiting = { identity: node.document, token: null, farmer: null, offer };
  expect(await verdict(directory, waiting)).toBe('waiting-for-farmer');
  const { offerId } = await client.node(node.id);
  const contract = contractFor(makePerson('tenant'), { id: node.id, offerId });
  await expect(client.submitContract(contract)).rejects.toMatchObject({ code: 'NODE_WAITING' });
  expect(await verdict(directory, joining(node, farmer, { offer }))).toBe('joined');
  expect(await verdict(directory, waiting)).toBe('joined');
  expect((await client.submitContract(contract)).state).toBe('reserved');
});

test('a newer offer replaces an older one and never the other way', async () => {
  await using directory = await withFarm();
  const { client, farmer, node } = directory;
  const capacity = { ...CAPACITY, cru: 8 };
  const [first, second] = [makeOffer(node), makeOffer(node, { version: 2, capacity })];
  await client.registerNode(joining(node, farmer, { offer: first }));
  await client.registerNode(joining(node, farmer, { offer: second }));
  expect((await client.node(node.id)).capacity.cru).toBe(8);
  expect(await verdict(directory, joining(node, farmer, { offer: first }))).toBe('OFFER_OLD');
  const forked = makeOffer(node, { version: 2 });
  expect(await verdict(directory, joining(node, farmer, { offer: forked }))).toBe('OFFER_OLD');
  expect((await client.node(node.id)).capacity.cru).toBe(8);
});

const stranger = makeFarmer('stranger');

const REFUSED: [string, (node: Person, farmer: Farmer) => Partial<NodeBody>, string][] = [
  ['an offer by another', () => ({ offer: makeOffer(makePerson('x')) }), 'ENVELOPE_UNTRUSTED'],
  ['an offer in a foreign name', offerFor(makePerson('x').id), 'OFFER_FOREIGN'],
  [
    'an offer on another grid',
    (node) => ({ offer: makeOffer(node, { grid: 'else' }) }),
    'OFFER_FOREIGN',
  ],
  [
    'more keys in the offer',
    (node) => ({ offer: makeOffer(node, { a: 1 }) }),
    'ENVELOPE_MALFORMED',
  ],
  ['a token by a stranger', (_n, farmer) => ({ token: forgedToken(farmer) }), 'ENVELOPE_UNTRUSTED'],
  ['a stranger as farmer', () => strangersToken(), 'FARM_UNKNOWN'],
  [
    'a farm of another farmer',
    (_n, farmer) => strangersToken({ farm: farmer.farmId }),
    'TOKEN_FOREIGN',
  ],
  [
    'a token of another grid',
    (_n, farmer) => ({ token: makeToken(farmer, { grid: 'else' }) }),
    'GRID_FOREIGN',
  ],
  [
    'a token past its end',
    (_n, farmer) => ({ token: makeToken(farmer, { notAfterMs: NOW_MS }) }),
    'TOKEN_EXPIRED',
  ],
  ['a token with no farmer', () => ({ farmer: null }), 'BODY_MALFORMED'],
  ['a farm for a token', (_n, farmer) => ({ token: farmer.farm }), 'ENVELOPE_TYPE'],
];

function offerFor(node: string) {
  return (signer: Person) => ({ offer: makeOffer(signer, { node }) });
}

function forgedToken(farmer: Farmer) {
  return makeToken({ ...stranger, farmId: farmer.farmId, id: farmer.id });
}

function strangersToken(changes: Record<string, unknown> = {}) {
  return { token: makeToken(stranger, changes), farmer: stranger.document };
}

test.each(REFUSED)('refused: %s', async (_name, change, code) => {
  await using directory = await withFarm();
  const { client, farmer, node } = directory;
  expect(await verdict(directory, joining(node, farmer, change(node, farmer)))).toBe(code);
  expect((await client.nodes()).items).toEqual([]);
});

test('a farm is refused when another signed it or it is of another grid', async () => {
  await using directory = await openDirectory();
  const { client } = directory;
  const [farmer, other] = [makeFarmer(), makeFarmer('other')];
  const farm = (grid: string) =>
    signEnvelope('farm', { grid, farmer: farmer.id, name: 'a' }, farmer.keys.signing);
  const wrong = client.createFarm({ farm: farm(GRID), farmer: other.document });
  await expect(wrong).rejects.toMatchObject({ code: 'ENVELOPE_UNTRUSTED' });
  const foreign = client.createFarm({ farm: farm('else'), farmer: farmer.document });
  await expect(foreign).rejects.toMatchObject({ code: 'GRID_FOREIGN' });
  expect((await client.farms()).items).toEqual([]);
});

test('lists page by cursor, each entry once', async () => {
  await using directory = await openDirectory();
  const farmer = makeFarmer();
  const ids: string[] = [];
  for (let i = 0; i < 5; i += 1) ids.push((await joinNode(directory, farmer, `node-${i}`)).id);
  const seen: string[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page = await directory.client.nodes({ cursor, limit: 2 });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  }
  expect(seen).toEqual(ids);
});
