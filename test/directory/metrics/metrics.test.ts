import { expect, test } from 'vitest';
import { listenForMetrics } from '../../../src/directory/metrics/listener.ts';
import { openMetrics } from '../../../src/directory/metrics/metrics.ts';
import { exchange } from '../../../src/host/http.ts';
import { makePerson } from '../../support/contracts.ts';
import { joinNode, openDirectory, signingOf } from '../../support/directory.ts';
import { makeFarmer } from '../../support/identity/farm.ts';

const SAMPLE = /^[a-z_:][a-z0-9_:]*(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? \S+$/iu;

async function ask(url: string, method: 'GET' | 'POST' = 'GET') {
  const { status, body, headers } = await exchange({ url, method });
  return { status, text: Buffer.from(body).toString('utf8'), type: headers['content-type'] };
}

test('what was asked, refused and recorded is counted, by route and code, for Prometheus', async () => {
  await using directory = await openDirectory();
  await using listener = await listenForMetrics(directory.metrics, { host: '127.0.0.1', port: 0 });
  const { client, url } = directory;
  const someone = makePerson('someone');
  await client.putIdentity(someone.document);
  await client.identity(someone.id);
  await ask(`${url}/v1/identities/${'0'.repeat(64)}`);
  await ask(`${url}/no/such/place`);
  await directory.settled();
  const { status, text, type } = await ask(listener.url);
  expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines.filter((line) => !SAMPLE.test(line))).toEqual([]);
  const counted = (labels: string) =>
    lines.find((line) => line.startsWith(`zos_directory_requests_total{${labels}}`))?.split(' ')[1];
  expect(counted('method="POST",route="/v1/identities",status="200"')).toBe('1');
  expect(counted('method="GET",route="/v1/identities/:id",status="200"')).toBe('1');
  expect(counted('method="GET",route="/v1/identities/:id",status="404"')).toBe('1');
  expect(counted('method="any",route="none",status="404"')).toBe('1');
  expect(text).toContain('zos_directory_refusals_total{code="NOT_FOUND"} 1');
  expect(text).toMatch(/^zos_directory_record_entries 1$/mu);
  expect(text).toMatch(/^zos_directory_process_resident_memory_bytes \d+$/mu);
  // Nobody is named by what is counted.
  expect(text).not.toMatch(/[0-9a-f]{64}/u);
});

test('feeds are counted while they are open', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const feed = directory.client.feed(signingOf(node, directory.clock));
  await feed.next();
  expect(await directory.metrics.text()).toMatch(/^zos_directory_feeds 1$/mu);
  await feed.return(undefined);
});

test('the address of metrics serves metrics and nothing else, and others serve none', async () => {
  await using directory = await openDirectory();
  await using listener = await listenForMetrics(openMetrics(), { host: '127.0.0.1', port: 0 });
  expect((await ask(listener.url, 'POST')).status).toBe(404);
  expect((await ask(listener.url.replace('/metrics', '/v1/grid'))).status).toBe(404);
  expect((await ask(`${directory.url}/metrics`)).status).toBe(404);
});

test('a number that can not be read hides itself and no other', async () => {
  const metrics = openMetrics();
  const failing = async () => Promise.reject(new Error('the store is away'));
  metrics.watch({ name: 'broken', help: 'A number of a store.', read: failing });
  metrics.watch({ name: 'whole', help: 'A number of a process.', read: async () => 7 });
  const text = await metrics.text();
  expect(text).toMatch(/^zos_directory_broken Nan$/imu);
  expect(text).toMatch(/^zos_directory_whole 7$/mu);
});
