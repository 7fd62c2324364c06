import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { GRID } from '../../support/contracts.ts';
import { openDirectory, type TestDirectory } from '../../support/directory.ts';

async function dial(directory: TestDirectory): Promise<Socket> {
  const { hostname, port } = new URL(directory.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** All that is said on a connection until it ends. */
async function heard(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (part) => (text += String(part)));
  await once(socket, 'close');
  return text;
}

/** Sends a beginning and then nothing: the status of the answer, and its code. */
async function stall(directory: TestDirectory, beginning: string): Promise<unknown> {
  const socket = await dial(directory);
  socket.write(beginning);
  const [head = '', body = '{}'] = (await heard(socket)).split('\r\n\r\n');
  const { code, sentence } = JSON.parse(body) as { code?: string; sentence?: string };
  expect(sentence).toMatch(/\.$/u);
  return [Number(head.split(' ')[1]), code];
}

const POST = 'POST /v1/farms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';

test('who sends a head or a body too slowly is cut off while others are served', async () => {
  await using directory = await openDirectory({ requestDeadlineMs: 400 });
  const head = stall(directory, 'POST /v1/farms HTTP/1.1\r\nHost: a\r\n');
  const body = stall(directory, `${POST}Content-Length: 100\r\n\r\n{`);
  expect((await directory.client.grid()).grid).toBe(GRID);
  expect(await head).toEqual([408, 'REQUEST_SLOW']);
  expect(await body).toEqual([408, 'REQUEST_SLOW']);
  expect((await directory.client.farms()).items).toEqual([]);
});

test('what is no request, or a head without end, is refused by name', async () => {
  await using directory = await openDirectory();
  expect(await stall(directory, 'hello there\r\n\r\n')).toEqual([400, 'REQUEST_BROKEN']);
  const long = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`;
  expect(await stall(directory, long)).toEqual([431, 'HEAD_TOO_LONG']);
  const two = `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{`;
  expect(await stall(directory, two)).toEqual([400, 'REQUEST_BROKEN']);
});

test('one address holds its share of the connections and no more', async () => {
  await using directory = await openDirectory({ addressConnectionsMax: 4 });
  const sockets: Socket[] = [];
  for (let count = 0; count < 4; count += 1) sockets.push(await dial(directory));
  expect(await stall(directory, '')).toEqual([429, 'TOO_MANY_CONNECTIONS']);
  for (const socket of sockets) socket.destroy();
  // The other side hears of it a moment later.
  for (;;) {
    const socket = await dial(directory);
    socket.write('GET /v1/grid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    if ((await heard(socket)).startsWith('HTTP/1.1 200')) break;
  }
});

test('who asks and never reads the answers is cut off', async () => {
  await using directory = await openDirectory({ requestDeadlineMs: 200 });
  const socket = await dial(directory);
  socket.pause();
  const ask = 'GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n';
  for (let count = 0; count < 2000 && !socket.writableNeedDrain; count += 1) socket.write(ask);
  const text = directory.metrics.text();
  expect(await text).toContain('zos_directory_requests_total');
  for (;;) {
    const found = /zos_directory_connections (?<count>\d+)/u.exec(await directory.metrics.text());
    if (found?.groups?.['count'] === '0') break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  socket.destroy();
});
