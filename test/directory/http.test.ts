import { expect, test } from 'vitest';
import { exchange, type HttpRequest } from '../../src/host/http.ts';
import { MiB } from '../../src/lib/units.ts';
import { makePerson } from '../support/contracts.ts';
import { openDirectory } from '../support/directory.ts';
import { makeFarmer } from '../support/identity/farm.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

type Said = { status: number; code: string | undefined; sentence: string | undefined };

async function say(url: string, wish: Omit<HttpRequest, 'url'> = {}): Promise<Said> {
  const { status, body } = await exchange({ url, ...wish });
  const said = JSON.parse(Buffer.from(body).toString('utf8')) as Partial<Said>;
  return { status, code: said.code, sentence: said.sentence };
}

const farmer = makeFarmer();
const farmText = JSON.stringify({ farm: farmer.farm, farmer: farmer.document });

const BODIES: [string, string, Record<string, string>, number, string][] = [
  ['too long', `"${'a'.repeat(MiB)}"`, JSON_TYPE, 413, 'BODY_TOO_LONG'],
  ['too deep', '['.repeat(20_000) + ']'.repeat(20_000), JSON_TYPE, 400, 'JSON_TOO_DEEP'],
  ['a key twice', farmText.replace('{', '{"farm":1,'), JSON_TYPE, 400, 'JSON_DUPLICATE_KEY'],
  ['an unknown key', farmText.replace('{', '{"more":1,'), JSON_TYPE, 400, 'BODY_MALFORMED'],
  [
    'a key inside an envelope',
    farmText.replace('"payload":', '"more":1,"payload":'),
    JSON_TYPE,
    400,
    'BODY_MALFORMED',
  ],
  ['a prototype', farmText.replace('{', '{"__proto__":{},'), JSON_TYPE, 400, 'BODY_MALFORMED'],
  ['not JSON', '{"farm":', JSON_TYPE, 400, 'JSON_SYNTAX'],
  ['not UTF-8', '', JSON_TYPE, 400, 'JSON_NOT_UTF8'],
  ['another type', farmText, { 'content-type': 'text/plain' }, 415, 'BODY_TYPE'],
];

test.each(BODIES)('a body is refused: %s', async (...[, text, headers, status, code]) => {
  await using directory = await openDirectory();
  const body = code === 'JSON_NOT_UTF8' ? new Uint8Array([0x22, 0xff, 0x22]) : text;
  const said = await say(`${directory.url}/v1/farms`, { method: 'POST', headers, body });
  expect(said).toMatchObject({ status, code });
  expect(said.sentence).toMatch(/\.$|:/u);
  expect((await directory.client.farms()).items).toEqual([]);
});

const PLACES: [string, number, string][] = [
  ['/', 404, 'NOT_FOUND'],
  ['/v1/nodes/../../etc/passwd', 404, 'NOT_FOUND'],
  ['/v1/nodes/xyz', 400, 'BODY_MALFORMED'],
  [`/v1/nodes/${'ab'.repeat(32)}`, 404, 'NOT_FOUND'],
  [`/v1/contracts/${'ab'.repeat(32)}`, 404, 'NOT_FOUND'],
  [`/v1/identities/${'ab'.repeat(32)}`, 404, 'NOT_FOUND'],
  [`/v1/questions/${'ab'.repeat(32)}/answer`, 404, 'QUESTION_UNKNOWN'],
  ['/v1/nodes?limit=1000', 400, 'BODY_MALFORMED'],
  ['/v1/nodes?limit=-1', 400, 'BODY_MALFORMED'],
  ['/v1/nodes?more=1', 400, 'BODY_MALFORMED'],
  ["/v1/contracts?tenant=' OR 1=1", 400, 'BODY_MALFORMED'],
  ['/v1/time?nonce=1', 400, 'BODY_MALFORMED'],
];

test.each(PLACES)('GET %s answers %i', async (path, status, code) => {
  await using directory = await openDirectory();
  expect(await say(directory.url + encodeURI(path))).toMatchObject({ status, code });
});

test('who asks too often from one address is told how long to wait', async () => {
  await using directory = await openDirectory({ perSecond: 1, burst: 2 });
  const ask = async () => exchange({ url: `${directory.url}/v1/grid` });
  const statuses = [(await ask()).status, (await ask()).status, (await ask()).status];
  expect(statuses).toEqual([200, 200, 429]);
  expect((await ask()).headers['retry-after']).toBe('1');
  directory.clock.nowMs += 1000;
  expect((await ask()).status).toBe(200);
});

test('an identity that floods is held back, and no other with it', async () => {
  await using directory = await openDirectory({ identityBurst: 2 });
  const { client } = directory;
  const [loud, other] = [makePerson('loud'), makePerson('other')];
  await client.putIdentity(loud.document);
  await client.putIdentity(loud.document);
  await expect(client.putIdentity(loud.document)).rejects.toMatchObject({
    code: 'TOO_MANY_REQUESTS',
  });
  expect(await client.putIdentity(other.document)).toEqual({ id: other.id });
});
