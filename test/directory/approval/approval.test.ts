import { expect, test } from 'vitest';
import { nodePage } from '../../../src/directory/approval/page.ts';
import { exchange } from '../../../src/host/http.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import type { Envelope } from '../../../src/identity/envelope.ts';
import { verifyApproval } from '../../../src/identity/farm.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { GRID, makePerson, type Person } from '../../support/contracts.ts';
import { joinNode, openDirectory, type TestDirectory } from '../../support/directory.ts';
import { approve, type Farmer, makeFarmer, makeOffer } from '../../support/identity/farm.ts';

type Waiting = TestDirectory & { readonly farmer: Farmer; readonly node: Person };

/** A directory with a farm, and a node that came without a token. */
async function withWaiting(): Promise<Waiting> {
  const directory = await openDirectory();
  const [farmer, node] = [makeFarmer(), makePerson('node')];
  await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  await register(directory, node);
  return { ...directory, farmer, node };
}

async function register({ client }: TestDirectory, node: Person) {
  const offer = makeOffer(node);
  return client.registerNode({ identity: node.document, token: null, farmer: null, offer });
}

async function get(url: string): Promise<{ status: number; text: string; policy: string | null }> {
  const { status, headers, body } = await exchange({ url });
  const policy = headers['content-security-policy'];
  return { status, text: textOf(body), policy: typeof policy === 'string' ? policy : null };
}

test('a node joins by its farmer’s signed word, which it gets to check itself', async () => {
  await using directory = await withWaiting();
  const { client, farmer, node } = directory;
  const word = approve(farmer, node.id);
  const joined = { id: node.id, state: 'joined', farm: farmer.farmId };
  expect(await client.approveNode(node.id, word)).toEqual(joined);
  expect(await client.approveNode(node.id, word)).toEqual(joined);
  const { approval, ...said } = await register(directory, node);
  expect(said).toEqual(joined);
  const document = verifyIdentity(approval?.farmer ?? expect.fail());
  const told = verifyApproval(approval?.word ?? expect.fail(), { farmer: document, grid: GRID });
  expect(told).toEqual({ ...told, node: node.id, farm: farmer.farmId, farmer: farmer.id });
  expect((await client.capacity({})).items.map(({ id }) => id)).toEqual([node.id]);
});

const stranger = makeFarmer('stranger');

const REFUSED: [string, (node: Person, farmer: Farmer) => Envelope, string][] = [
  [
    'a word by a stranger for that farm',
    ({ id }, { farmId }) => approve(stranger, id, { farm: farmId }),
    'ENVELOPE_UNTRUSTED',
  ],
  ['a farm that nobody made', ({ id }) => approve(stranger, id), 'FARM_UNKNOWN'],
  ['a word about another node', (_, farmer) => approve(farmer, 'ab'.repeat(32)), 'BODY_MALFORMED'],
  [
    'a word on another grid',
    ({ id }, farmer) => approve(farmer, id, { grid: 'else' }),
    'GRID_FOREIGN',
  ],
  [
    'a word in another name',
    ({ id }, farmer) => approve(farmer, id, { farmer: stranger.id }),
    'FARM_FOREIGN',
  ],
];

test.for(REFUSED)('%s lets nobody in', async ([, make, code]) => {
  await using directory = await withWaiting();
  const { client, farmer, node } = directory;
  const refused = client.approveNode(node.id, make(node, farmer)).then(() => 'joined', codeOf);
  expect(await refused).toBe(code);
  expect((await client.node(node.id)).state).toBe('waiting-for-farmer');
});

test('a node that has joined is taken by nobody else, and an unknown one by nobody', async () => {
  await using directory = await withWaiting();
  const { client, farmer } = directory;
  const { id } = await joinNode(directory, farmer, 'joined');
  const rival = makeFarmer('rival');
  await client.createFarm({ farm: rival.farm, farmer: rival.document });
  const taken = client.approveNode(id, approve(rival, id)).then(() => 'joined', codeOf);
  expect(await taken).toBe('NODE_IN_OTHER_FARM');
  const nobody = 'cd'.repeat(32);
  const unknown = client.approveNode(nobody, approve(farmer, nobody)).then(() => 'joined', codeOf);
  expect(await unknown).toBe('NODE_UNKNOWN');
});

test('the page of the QR code shows the node and the one command, and runs nothing', async () => {
  await using directory = await withWaiting();
  const { url, client, farmer, node } = directory;
  const short = node.id.slice(0, 20).toUpperCase();
  const waiting = await get(`${url}/N/${short}`);
  expect(waiting).toMatchObject({ status: 200 });
  expect(waiting.policy).toContain("default-src 'none'");
  expect(waiting.text).toContain(`<pre>zos farm approve ${node.id}</pre>`);
  expect(waiting.text).not.toMatch(/<script|<form|href|src=/u);
  await client.approveNode(node.id, approve(farmer, node.id));
  const joined = await get(`${url}/n/${node.id}`);
  expect(joined.text).toContain('This node has joined its farm');
  expect(joined.text).not.toContain('farm approve');
  expect((await get(`${url}/n/${'0'.repeat(20)}`)).status).toBe(404);
  expect((await get(`${url}/n/abc`)).status).toBe(400);
  expect((await get(`${url}/n/%3Cscript%3E`)).status).toBe(400);
});

test('nothing that a node or a farmer wrote is taken for markup', async () => {
  await using directory = await withWaiting();
  const said = await directory.client.node(directory.node.id);
  const farm = { ...(await directory.client.farms()).items[0], name: '<b>"&' };
  const page = nodePage({ ...said, farm: 'ab' }, farm as Parameters<typeof nodePage>[1], 0);
  expect(page).toContain('&lt;b&gt;&quot;&amp;');
});
