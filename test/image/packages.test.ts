import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetchPackages } from '../../image/debian/packages.ts';
import type { Pins } from '../../image/debian/pins.ts';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';

const PACKAGE = utf8('what was pinned');
const PINS: Pins = {
  release: {
    codename: 'trixie',
    version: '13.7',
    date: '2026-09-12T07:55:41.000Z',
    inReleaseSha256: '',
  },
  kernel: { package: 'linux', release: '6.12.0' },
  node: { package: 'node', version: '26', sha256: '', lengthBytes: 1 },
  packages: {
    crun: {
      version: '1.21-1',
      sha256: sha256Hex(PACKAGE),
      lengthBytes: PACKAGE.length,
      path: 'pool/main/c/crun/crun_1.21-1_amd64.deb',
    },
  },
};

let cache: string;
let server: Server;
let answer: Uint8Array | undefined;
let asked: string[];

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'zos-debs-'));
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.close();
  await rm(cache, { recursive: true, force: true });
});

async function fetchAll(): Promise<Map<string, string>> {
  const { port } = server.address() as AddressInfo;
  const findMirror = async (): Promise<string> => `http://127.0.0.1:${port}/debian`;
  return fetchPackages({ pins: PINS, cache, findMirror, say: () => undefined });
}

test('a pinned package is fetched by its path, once', async () => {
  answer = PACKAGE;
  const path = join(cache, 'crun_1.21-1_amd64.deb');
  expect(await fetchAll()).toEqual(new Map([['crun', path]]));
  await fetchAll();
  expect(asked).toEqual(['/debian/pool/main/c/crun/crun_1.21-1_amd64.deb']);
});

test('a package that was changed in the cache is fetched again', async () => {
  answer = PACKAGE;
  await writeFile(join(cache, 'crun_1.21-1_amd64.deb'), 'something else');
  await fetchAll();
  expect(asked.length).toBe(1);
});

test('a pin that the mirror no longer has is said by name, with what moves it on', async () => {
  answer = undefined;
  await expect(fetchAll()).rejects.toThrow(
    'The mirror no longer has crun 1.21-1; move the pins on with npm run image -- --update-pins.',
  );
});

test('another file under the pinned name is refused and not kept', async () => {
  answer = utf8('what was planted');
  answer = answer.slice(0, PACKAGE.length);
  await expect(fetchAll()).rejects.toThrow('crun 1.21-1 from the mirror is not the pinned file');
  expect(await readdir(cache)).toEqual([]);
});
