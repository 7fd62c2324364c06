import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Wants } from '../../../src/contract/wants.ts';
import { openFeeds, QUIET_TICKS_MAX, UNREAD_TICKS_MAX } from '../../../src/directory/feed/feeds.ts';
import { openNotifier } from '../../../src/directory/feed/notifier.ts';
import { MiB } from '../../../src/lib/units.ts';

const silent = (): void => undefined;
const LOG = { debug: silent, info: silent, warn: silent, error: console.error };

/** Feeds behind a real server, of a node whose wants are what the test says. */
async function openBench(padding = '') {
  const notifier = openNotifier();
  const books = { revision: 1, isKnown: true };
  const read = async () =>
    books.isKnown ? ({ revision: books.revision, padding } as unknown as Wants) : undefined;
  const feeds = openFeeds({ notifier, wants: read, log: LOG });
  const opened: ServerResponse[] = [];
  const server = createServer((_asked, answer) => {
    opened.push(answer);
    feeds.open('node', answer, -1);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dial = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', silent);
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    return socket;
  };
  const change = (): void => {
    books.revision += 1;
    notifier.wake(['node']);
  };
  const end = async (): Promise<void> => {
    feeds.close();
    server.close();
    await once(server, 'close');
  };
  return { notifier, feeds, opened, books, dial, change, [Symbol.asyncDispose]: end };
}

async function heard(socket: Socket, wanted: string): Promise<void> {
  let text = '';
  while (!text.includes(wanted)) {
    const [part] = (await once(socket, 'data')) as [Buffer];
    text += part.toString();
  }
}

test('a connection that is quiet gets a sign of life, and what changed before it', async () => {
  await using bench = await openBench();
  const socket = await bench.dial();
  await heard(socket, '"revision":1');
  bench.change();
  await heard(socket, '"revision":2');
  const sign = heard(socket, ': alive');
  for (let ticks = 0; ticks < QUIET_TICKS_MAX; ticks += 1) bench.feeds.tick();
  await sign;
  expect(bench.feeds.count()).toBe(1);
});

test('who does not read is not written to, and is cut off', async () => {
  await using bench = await openBench('x'.repeat(8 * MiB));
  const socket = await bench.dial();
  socket.pause();
  const closed = once(socket, 'close');
  while (!bench.opened[0]?.writableNeedDrain) await new Promise(setImmediate);
  const waitingBytes = bench.opened[0].writableLength;
  for (let changes = 0; changes < 100; changes += 1) bench.change();
  await new Promise(setImmediate);
  expect(bench.opened[0].writableLength).toBe(waitingBytes);
  for (let ticks = 0; ticks < UNREAD_TICKS_MAX - 1; ticks += 1) bench.feeds.tick();
  expect(bench.feeds.count()).toBe(1);
  bench.feeds.tick();
  expect(bench.feeds.count()).toBe(0);
  socket.resume();
  await closed;
});

test('who reads late gets the newest, once', async () => {
  await using bench = await openBench('x'.repeat(8 * MiB));
  const socket = await bench.dial();
  socket.pause();
  while (!bench.opened[0]?.writableNeedDrain) await new Promise(setImmediate);
  for (let changes = 0; changes < 9; changes += 1) bench.change();
  const parts: Buffer[] = [];
  let lengthBytes = 0;
  for await (const part of socket.resume() as AsyncIterable<Buffer>) {
    parts.push(part);
    lengthBytes += part.length;
    if (lengthBytes > 16 * MiB) break;
  }
  const text = Buffer.concat(parts).toString();
  expect(text.match(/"revision":\d+/gu)).toEqual(['"revision":1', '"revision":10']);
});

test('the newest connection of a node counts, and a node that is forgotten has none', async () => {
  await using bench = await openBench();
  const older = await bench.dial();
  await heard(older, '"revision":1');
  const ended = once(older.resume(), 'close');
  const newer = await bench.dial();
  await heard(newer, '"revision":1');
  await ended;
  expect(bench.feeds.count()).toBe(1);
  bench.books.isKnown = false;
  bench.notifier.wake('all');
  await once(newer.resume(), 'close');
  expect(bench.feeds.count()).toBe(0);
});

test('who comes when the end has come already is let go at once', async () => {
  await using bench = await openBench();
  bench.notifier.close();
  const socket = await bench.dial();
  await once(socket.resume(), 'close');
  expect(bench.feeds.count()).toBe(0);
  expect(await bench.notifier.watch('node').next(60_000)).toBe('closed');
});
