import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleProgram } from '../../../image/node/bundle.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import { openProxy } from '../../support/wire/proxy.ts';

// Of undici the image has less than the repository: requests as the courier does them, by that.
const ROOT = join(import.meta.dirname, '../../..');
let folder: string;
let http: typeof import('../../../src/host/http.ts');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-bundle-'));
  const outfile = join(folder, 'http.cjs');
  await bundleProgram({ root: ROOT, entry: 'src/host/http.ts', outfile, isLoaded: false });
  http = createRequire(import.meta.url)(outfile) as typeof http;
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('requests go directly and through a proxy, in clear and by CONNECT', async () => {
  const origin = createServer((question, answer) => answer.end(`${question.method} ok`));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const { port } = origin.address() as AddressInfo;
  await using proxy = await openProxy();
  const direct = await http.exchange({ url: `http://127.0.0.1:${port}/`, method: 'POST' });
  http.useWayOut({ proxy: proxy.url, nameServers: [] });
  const url = `http://mirror.example:${port}/a?b=c`;
  const through = await http.exchange({ url });
  expect([direct, through].map(({ body }) => textOf(body))).toEqual(['POST ok', 'GET ok']);
  // The origin speaks no TLS: that is found out at the end of the tunnel.
  await expect(http.fetchBytes({ url: `https://mirror.example:${port}/` })).rejects.toThrow(
    /can't be reached|broke off/u,
  );
  expect(proxy.asked).toEqual([`GET ${url}`, `CONNECT mirror.example:${port}`]);
  origin.closeAllConnections();
  origin.close();
});

test('a program is written in ASCII, and means what it meant', async () => {
  const entry = join(folder, 'quotes.ts');
  const outfile = join(folder, 'quotes.cjs');
  await writeFile(entry, `export const found = /[“”]/u.exec('a “word”')?.index;\n`);
  await bundleProgram({ root: folder, entry, outfile, isLoaded: false });
  expect(await readFile(outfile, 'utf8')).toMatch(/^\p{ASCII}+$/u);
  expect(createRequire(import.meta.url)(outfile)).toMatchObject({ found: 2 });
});
