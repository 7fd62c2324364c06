import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findMirror } from '../../image/debian/mirror.ts';
import { choosePins } from '../../image/debian/release.ts';
import { fetchBytes } from '../../src/host/http.ts';
import { MiB, MINUTE_MS } from '../../src/lib/units.ts';

// Debian's own index, from this machine's mirror, through a mirror of the test's that can alter it.
let folder: string;
let mirror: string;
let honest: string;
let server: Server;
let alter: (path: string, bytes: Uint8Array) => Uint8Array;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-index-'));
  honest = await findMirror(process.env['ZOS_DEBIAN_MIRROR']);
  server = createServer((request, response) => {
    const path = request.url ?? '';
    const limits = { bytesMax: 64 * MiB, deadlineMs: MINUTE_MS };
    void fetchBytes({ url: `${honest}${path}`, ...limits }).then(
      (bytes) => response.end(alter(path, bytes)),
      () => response.destroy(),
    );
  });
  // While a list is unpacked nobody here hears that an idle connection was closed.
  server.keepAliveTimeout = 2 * MINUTE_MS;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

async function choose(): Promise<string[]> {
  const chosen = await choosePins({ mirror, folder: join(folder, 'index'), names: ['crun'] });
  return Object.values(chosen.packages).map(({ path }) => path);
}

/** The same bytes with one bit of their middle turned. */
function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}

test('pins come from an index that Debian signed', async () => {
  alter = (_path, bytes) => bytes;
  const paths = await choose();
  expect(paths[0]).toMatch(/^pool\/main\/c\/crun\/crun_[\d.-]+_amd64\.deb$/u);
  expect(paths[1]).toMatch(/\/linux-image-[\w.+-]+-amd64_[\w.+-]+_amd64\.deb$/u);
});

test('a release file with one bit turned is refused', async () => {
  alter = (path, bytes) => (path.endsWith('/InRelease') ? flipped(bytes) : bytes);
  await expect(choose()).rejects.toThrow('/InRelease is not signed by Debian');
});

test('a package list with one bit turned is refused', async () => {
  alter = (path, bytes) => (path.endsWith('/Packages.xz') ? flipped(bytes) : bytes);
  await expect(choose()).rejects.toThrow('is not what Debian signed');
});
