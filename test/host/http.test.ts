import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { exchange, fetchBytes, openStream, useWayOut } from '../../src/host/http.ts';
import { textOf } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { openDns } from '../support/wire/dns.ts';
import { openProxy } from '../support/wire/proxy.ts';

afterEach(() => useWayOut({ proxy: null, nameServers: [] }));

async function openOrigin() {
  const server = createServer((question, answer) => {
    if (question.url === '/feed') answer.write('first\n');
    else answer.end(`${question.method} ${question.headers.host}${question.url}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
  };
  return { port, [Symbol.asyncDispose]: close };
}

test('through a proxy HTTP goes in absolute form, many at once, beside a feed', async () => {
  await using origin = await openOrigin();
  await using proxy = await openProxy();
  useWayOut({ proxy: proxy.url, nameServers: [] });
  const base = `http://mirror.example:${origin.port}`;
  const feed = await openStream({ url: `${base}/feed` });
  const parts = feed.chunks[Symbol.asyncIterator]();
  expect(textOf((await parts.next()).value ?? new Uint8Array())).toBe('first\n');
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, n) => exchange({ url: `${base}/${n}?q=1`, method: 'POST' })),
  );
  expect(answers.map(({ body }) => textOf(body))).toEqual(
    Array.from({ length: 8 }, (_, n) => `POST mirror.example:${origin.port}/${n}?q=1`),
  );
  expect(proxy.asked).toContain(`POST ${base}/3?q=1`);
});

test('through a proxy HTTPS goes by CONNECT, and a proxy that is gone is named', async () => {
  await using origin = await openOrigin();
  const url = `https://mirror.example:${origin.port}/`;
  {
    await using proxy = await openProxy();
    useWayOut({ proxy: proxy.url, nameServers: [] });
    // The origin speaks no TLS: that is found out at the end of the tunnel.
    await expect(fetchBytes({ url })).rejects.toThrow(/can't be reached|broke off/u);
    expect(proxy.asked[0]).toBe(`CONNECT mirror.example:${origin.port}`);
  }
  const gone = { proxy: 'http://127.0.0.1:9', nameServers: [] };
  useWayOut(gone);
  await expect(fetchBytes({ url: 'http://mirror.example/' })).rejects.toThrow(
    `http://mirror.example/ can't be reached through the proxy ${gone.proxy} (ECONNREFUSED).`,
  );
});

test('a dead DNS server holds up nothing that goes by address', async () => {
  await using origin = await openOrigin();
  await using dns = await openDns({});
  dns.behave('silent');
  useWayOut({ proxy: null, nameServers: [dns.address] });
  const waiting = Array.from({ length: 8 }, (_, n) =>
    fetchBytes({ url: `http://n${n}.example/` }).then(() => 'answered', codeOf),
  );
  const first = fetchBytes({ url: `http://127.0.0.1:${origin.port}/` }).then(() => 'by address');
  expect(await Promise.race([...waiting, first])).toBe('by address');
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(['HTTP_NO_NAME']));
});
