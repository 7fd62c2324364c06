import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { verifyIdentity } from '../../src/identity/document.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { openClient } from '../../src/sdk/index.ts';
import { signTime, verifyTime } from '../../src/sdk/time.ts';
import { GRID, makePerson, NOW_MS } from '../support/contracts.ts';
import { joinNode, openDirectory, signingOf } from '../support/directory.ts';
import { makeFarmer } from '../support/identity/farm.ts';

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const ANSWERS: [string, number, string][] = [
  ['a captive portal', 200, '<html>log in</html>'],
  ['a page for an error', 502, '<html>bad gateway</html>'],
  ['the wrong shape', 200, '{"grid":"test"}'],
  ['a key twice', 200, '{"grid":"test","grid":"test","directory":{}}'],
  ['a refusal with no code', 400, '{"error":"no"}'],
];

test.each(ANSWERS)('%s is no answer of a directory', async (_name, status, text) => {
  await using server = await serve((_request, response) => {
    response.writeHead(status).end(text);
  });
  const outcome = openClient({ baseUrl: server.url }).grid();
  await expect(outcome).rejects.toMatchObject({ code: 'ANSWER_MALFORMED' });
});

test('nobody there is said as such', async () => {
  const server = await serve(() => undefined);
  await server[Symbol.asyncDispose]();
  const outcome = openClient({ baseUrl: server.url }).grid();
  await expect(outcome).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE' });
});

test('a feed that is refused says why; one that breaks off ends; neither hangs', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const signing = signingOf(node, directory.clock);
  const stranger = { ...signing, signer: makePerson('x').keys.signing };
  await expect(directory.client.feed(stranger).next()).rejects.toMatchObject({
    code: 'ENVELOPE_UNTRUSTED',
    facts: { status: 403 },
  });
  await using broken = await serve((_request, response) => {
    response.writeHead(200).write('id: 1\nda');
    setImmediate(() => response.destroy());
  });
  const feed = openClient({ baseUrl: broken.url }).feed(signing);
  await expect(feed.next()).rejects.toMatchObject({ code: 'FEED_BROKEN' });
});

test('a feed ends when its reader no longer wants it', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const leaving = new AbortController();
  const { signal } = leaving;
  const feed = directory.client.feed(signingOf(node, directory.clock), { signal });
  await feed.next();
  const waiting = feed.next();
  leaving.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'FEED_BROKEN' });
});

test('a time signed for another question, grid or by another is refused', () => {
  const [directory, other] = [makePerson('directory'), makePerson('other')];
  const nonce = 'ab'.repeat(16);
  const time = { grid: GRID, nonce, nowMs: NOW_MS };
  const verdict = (changes: Partial<typeof time>, by = directory): unknown => {
    try {
      const envelope = signTime({ ...time, ...changes }, by.keys.signing);
      return verifyTime(envelope, verifyIdentity(directory.document), { grid: GRID, nonce });
    } catch (error) {
      return codeOf(error);
    }
  };
  expect(verdict({})).toBe(NOW_MS);
  expect(verdict({ nonce: 'cd'.repeat(16) })).toBe('TIME_FOREIGN');
  expect(verdict({ grid: 'else' })).toBe('TIME_FOREIGN');
  expect(verdict({}, other)).toBe('ENVELOPE_UNTRUSTED');
});
