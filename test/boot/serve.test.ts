import { once } from 'node:events';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { rangeOf } from '../../boot/serve/answer.ts';
import { type BootServer, openBootServer, type ServeEvent } from '../../boot/serve/server.ts';
import { parseBootMedia } from '../../src/artifact/spec.ts';
import { exchange, type HttpAnswer } from '../../src/host/http.ts';
import { signEnvelope } from '../../src/identity/envelope.ts';
import { makeSecretKeys } from '../../src/identity/keys.ts';
import { makeRelease, type TestRelease } from '../support/release/release.ts';

const events: ServeEvent[] = [];
const { signing } = makeSecretKeys();
const tokens = ['one', 'two'].map((nonce) => signEnvelope('join-token', { nonce }, signing));
let release: TestRelease;
let server: BootServer;

beforeAll(async () => {
  release = await makeRelease(Date.now());
  const imagesPath = join(release.folder, 'images');
  await mkdir(imagesPath);
  await writeFile(join(imagesPath, 'web.erofs'), 'an image');
  await symlink('/etc/hostname', join(release.folder, 'secret'));
  server = await openBootServer({
    address: '127.0.0.1',
    releasePath: release.releasePath,
    imagesPath,
    farm: { grid: 'test', mirrors: ['http://127.0.0.1:9'], farmer: null, tokens },
    onEvent: (event) => events.push(event),
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await release[Symbol.asyncDispose]();
});

async function get(path: string, headers: Record<string, string> = {}): Promise<HttpAnswer> {
  return exchange({ url: `${server.url}/${path}`, headers });
}

test('every part of a release is served whole, with its length', async () => {
  const answer = await get('system.erofs');
  expect(answer.status).toBe(200);
  expect(Buffer.from(answer.body).equals(release.system)).toBe(true);
  expect(answer.headers['content-length']).toBe(String(release.system.length));
  for (const path of ['vmlinuz', 'initramfs.cpio', 'grid.json', 'metadata/timestamp.json']) {
    expect((await get(path)).status).toBe(200);
  }
  expect(Buffer.from((await get('images/web.erofs')).body).toString()).toBe('an image');
});

test('a range is served as asked for, and one beyond the end is refused', async () => {
  const answer = await get('system.erofs', { range: 'bytes=10-19' });
  expect(answer.status).toBe(206);
  expect(answer.headers['content-range']).toBe(`bytes 10-19/${release.system.length}`);
  expect(Buffer.from(answer.body).equals(release.system.subarray(10, 20))).toBe(true);
  expect((await get('system.erofs', { range: 'bytes=999999999-' })).status).toBe(416);
});

test('nothing but the release can be asked for', async () => {
  const paths = [
    '',
    'keys/root.key',
    '../keys/root.key',
    '..%2Fkeys%2Froot.key',
    'metadata/../../keys/root.key',
    'metadata/root.key',
    'images/../secret',
    'images/..%2fsecret',
    'images/.hidden',
    'farm.cpio',
    'farm.cpio?mac=nonsense',
    'metadata',
  ];
  for (const path of paths) expect([path, (await get(path)).status]).toEqual([path, 404]);
  const posted = await exchange({ url: `${server.url}/vmlinuz`, method: 'POST', body: 'x' });
  expect(posted.status).toBe(405);
});

test('a machine gets the same token each time, another machine another', async () => {
  const media = async (mac: string): Promise<ReturnType<typeof parseBootMedia>> => {
    const { body } = await get(`farm.cpio?mac=${mac}`);
    const text = Buffer.from(body).toString('latin1');
    return parseBootMedia(Buffer.from(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)));
  };
  const first = await media('52:54:00:00:00:01');
  expect(first).toEqual({
    grid: 'test',
    mirrors: [server.url, 'http://127.0.0.1:9'],
    token: tokens[0],
    farmer: null,
  });
  expect((await media('52-54-00-00-00-02')).token).toEqual(tokens[1]);
  expect((await media('52-54-00-00-00-01')).token).toEqual(tokens[0]);
  expect((await media('52:54:00:00:00:03')).token).toBeNull();
  expect(server.tokensHandedOut()).toBe(2);
});

test('firmware that fetches by itself learns a length first, and its machine the same farm', async () => {
  await writeFile(join(release.releasePath, 'zos.efi'), 'a program');
  expect(server.efiUrl).toBe(`${server.url}/zos.efi`);
  const asked = request(server.efiUrl, { method: 'HEAD' }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  expect(response.headers['content-length']).toBe('9');
  response.resume();
  expect(Buffer.from((await get('zos.efi')).body).toString()).toBe('a program');
  const { body } = await get('farm.json?mac=52:54:00:00:00:01');
  expect(parseBootMedia(body).token).toEqual(tokens[0]);
  expect((await get('farm.json')).status).toBe(404);
});

test('the script names this server and every file by its address', async () => {
  const script = Buffer.from((await get('boot.ipxe')).body).toString();
  expect(script.startsWith('#!ipxe\n')).toBe(true);
  expect(script).toContain(`kernel ${server.url}/vmlinuz `);
  expect(script).toContain('rootfstype=ramfs');
  expect(script).toContain(`${server.url}/farm.cpio?mac=\${netX/mac}`);
});

test('each request is told when it begins and when it ends, with its bytes', async () => {
  events.length = 0;
  await get('vmlinuz');
  // Who asks may have the last byte before the server counts it as sent.
  // The end of what another test asked for may be told as late.
  const own = (): ServeEvent[] => events.filter(({ path }) => path === '/vmlinuz');
  await vi.waitUntil(() => own().length === 2, { timeout: 60_000 });
  expect(own().map(({ kind, path, status, bytes }) => [kind, path, status, bytes])).toEqual([
    ['begin', '/vmlinuz', 200, 1000],
    ['end', '/vmlinuz', 200, 1000],
  ]);
  expect(server.sentBytes('127.0.0.1')).toBeGreaterThan(release.system.length);
});

test('a port in use is said in a sentence', async () => {
  const wish = {
    address: '127.0.0.1',
    port: Number(new URL(server.url).port),
    releasePath: release.releasePath,
    farm: { grid: 'test', mirrors: [], farmer: null, tokens: [] },
  };
  await expect(openBootServer(wish)).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    message: `Port ${wish.port} of 127.0.0.1 is in use; stop what uses it, or choose another.`,
  });
});

test('a range lies within the file, whatever was asked for', () => {
  fc.assert(
    fc.property(fc.tuple(fc.string(), fc.nat(), fc.nat()), fc.nat(1000), (asked, lengthBytes) => {
      const [text, a, b] = asked;
      for (const header of [text, `bytes=${a}-${b}`, `bytes=${a}-`, `bytes=-${b}`]) {
        const range = rangeOf(header, lengthBytes);
        if (range === undefined || range === 'unsatisfiable') continue;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeLessThanOrEqual(lengthBytes);
        expect(range.start).toBeLessThan(range.end);
      }
    }),
  );
});
