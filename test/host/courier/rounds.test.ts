import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { openDesk } from '../../../src/host/courier/desk.ts';
import type { Reach } from '../../../src/host/courier/errand.ts';
import {
  FRAME_BODY_BYTES_MAX,
  KIND,
  WINDOW_BYTES,
  writeFrame,
} from '../../../src/host/courier/frame.ts';
import { doRounds } from '../../../src/host/courier/rounds.ts';
import {
  exchange,
  fetchParts,
  openStream,
  reachBy,
  reachDirectly,
  useWayOut,
} from '../../../src/host/http.ts';
import { textOf, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf, sentenceOf } from '../../../src/lib/errors.ts';
import { MiB } from '../../../src/lib/units.ts';

const WAY = { proxy: null, nameServers: [] };
const GET = { method: 'GET', headers: {}, way: WAY, headMs: 10_000, idleMs: 10_000 } as const;
const NEVER = new AbortController().signal;

afterEach(() => reachBy(reachDirectly));

function openPair(reach: Reach) {
  const [ours, theirs] = duplexPair();
  const broken: string[] = [];
  const desk = openDesk(ours, (error) => void broken.push(sentenceOf(error)));
  const rounds = doRounds({ socket: theirs, reach, useWay: useWayOut });
  return { desk, rounds, broken, ours, theirs };
}

/** The agent's end alone; what the courier says is up to the test. */
function openDeskAlone() {
  const [ours, theirs]: [Duplex, Duplex] = duplexPair();
  const broken: string[] = [];
  theirs.resume();
  const desk = openDesk(ours, (error) => void broken.push(sentenceOf(error)));
  return { desk, theirs, broken };
}

async function openOrigin() {
  const server = createServer((question, answer) => {
    const parts: Buffer[] = [];
    question.on('data', (part: Buffer) => void parts.push(part));
    question.on('end', () => {
      if (question.url === '/feed') return void answer.write('first\n');
      if (question.url === '/cut') {
        answer.writeHead(200, { 'content-length': 100 });
        answer.write('half', () => answer.destroy());
        return undefined;
      }
      answer.setHeader('x-two', ['a', 'b']);
      return void answer.end(Buffer.concat(parts));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

test('what goes by the courier is what goes directly: answers, bodies, feeds and failures', async () => {
  await using origin = await openOrigin();
  const { desk } = openPair(reachDirectly);
  const body = Buffer.alloc(3 * MiB, 'abc');
  const failed = async (path: string): Promise<string> =>
    exchange({ url: path.startsWith('/') ? origin.url + path : path }).then(
      () => 'went well',
      (error: unknown) => `${codeOf(error)} ${sentenceOf(error)}`,
    );
  const all = async () => {
    const answer = await exchange({ url: `${origin.url}/echo`, method: 'POST', body });
    const feed = await openStream({ url: `${origin.url}/feed` });
    const first = await feed.chunks[Symbol.asyncIterator]().next();
    return {
      status: answer.status,
      two: answer.headers['x-two'],
      isSame: Buffer.from(answer.body).equals(body),
      first: textOf(first.value as Uint8Array),
      cut: await failed('/cut'),
      nobody: await failed('http://127.0.0.1:1/'),
      strange: await failed('ftp://127.0.0.1/'),
    };
  };
  const direct = await all();
  reachBy(desk.reach);
  expect(await all()).toEqual(direct);
  expect(direct).toMatchObject({ status: 200, isSame: true, first: 'first\n' });
  expect(direct.cut).toContain('HTTP_BROKEN_OFF');
});

test('what nobody reads is not fetched: no more than a window of it is under way', async () => {
  let given = 0;
  const endless: Reach = async () => ({
    status: 200,
    headers: {},
    close: () => undefined,
    chunks: (async function* () {
      for (;;) {
        given += 1000;
        yield new Uint8Array(1000);
      }
    })(),
  });
  const { desk } = openPair(endless);
  const stop = new AbortController();
  const answer = await desk.reach({ url: 'http://one.example/', ...GET }, stop.signal);
  for (let looks = 0; looks < 2000; looks += 1) await turn();
  expect(given).toBeGreaterThan(WINDOW_BYTES / 2);
  expect(given).toBeLessThanOrEqual(WINDOW_BYTES + 1000);
  const parts = answer.chunks[Symbol.asyncIterator]();
  for (let got = 0; got < 10 * WINDOW_BYTES;) got += (await parts.next()).value.length;
  for (let looks = 0; looks < 2000; looks += 1) await turn();
  expect(given).toBeLessThanOrEqual(11 * WINDOW_BYTES + 65_536);
});

test('what is given up here is given up there', async () => {
  const seen: AbortSignal[] = [];
  const never: Reach = async (_errand, signal) => {
    seen.push(signal);
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  };
  const { desk } = openPair(never);
  const stop = new AbortController();
  const asked = desk.reach({ url: 'http://one.example/', ...GET }, stop.signal);
  while (seen.length === 0) await turn();
  stop.abort(new Error('enough'));
  await expect(asked).rejects.toThrow('enough');
  while (seen[0]?.aborted !== true) await turn();
});

test('a courier that ends leaves nobody waiting', async () => {
  const { desk, theirs, broken } = openDeskAlone();
  const asked = desk.reach({ url: 'http://one.example/', ...GET }, NEVER);
  theirs.destroy();
  await expect(asked).rejects.toMatchObject({ code: 'HTTP_BROKEN_OFF' });
  expect(broken).toHaveLength(1);
  await expect(desk.reach({ url: 'http://one.example/', ...GET }, NEVER)).rejects.toMatchObject({
    code: 'HTTP_BROKEN_OFF',
  });
});

const HEAD = writeFrame(KIND.head, 1, utf8('{"status":200,"headers":{}}'));
const PART = writeFrame(KIND.part, 1, new Uint8Array(FRAME_BODY_BYTES_MAX));

test.each([
  ['more than it was asked for', [HEAD, PART, PART, PART, PART, PART], 'more than it may'],
  ['what is no frame', [new Uint8Array(9).fill(255)], 'no frame'],
  ['a head that is none', [writeFrame(KIND.head, 1, utf8('{"status":"yes"}'))], 'status'],
  ['a head with a key twice', [writeFrame(KIND.head, 1, utf8('{"status":1,"status":2}'))], 'twice'],
  ['an errand of its own', [writeFrame(KIND.ask, 1, utf8('{}'))], 'only the agent says'],
])('a courier in other hands that sends %s is ended', async (_what, frames, why) => {
  const { desk, theirs, broken } = openDeskAlone();
  const asked = desk.reach({ url: 'http://one.example/', ...GET }, NEVER).catch(codeOf);
  for (const frame of frames) theirs.write(frame);
  while (broken.length === 0) await turn();
  expect(broken[0]).toContain(why);
  await asked;
});

test('a code that is none of ours, and a sentence that moves the cursor, are made plain', async () => {
  const { desk, theirs } = openDeskAlone();
  const asked = desk.reach({ url: 'http://one.example/', ...GET }, NEVER);
  const said = JSON.stringify({ code: 'ROOT', sentence: '\u001b[2Jgone\nnow' });
  theirs.write(writeFrame(KIND.fail, 1, utf8(said)));
  await expect(asked).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE', message: ' [2Jgone now' });
});

test('pings are answered; a silent one is noticed', async () => {
  const { desk } = openPair(reachDirectly);
  expect(desk.isAlive()).toBe(false);
  for (let looks = 0; looks < 20; looks += 1) await turn();
  expect(desk.isAlive()).toBe(true);
  const alone = openDeskAlone();
  expect(alone.desk.isAlive()).toBe(false);
  for (let looks = 0; looks < 20; looks += 1) await turn();
  expect(alone.desk.isAlive()).toBe(false);
});

test('parts are handed on in order while others go on', async () => {
  await using origin = await openOrigin();
  const { desk } = openPair(reachDirectly);
  reachBy(desk.reach);
  const bodies = Array.from({ length: 12 }, (_, n) => Buffer.alloc(400_000, `${n}-`));
  const got = await Promise.all(
    bodies.map(async (body) => exchange({ url: origin.url, method: 'POST', body })),
  );
  expect(got.map((answer, n) => bodies[n]?.equals(answer.body))).toEqual(bodies.map(() => true));
  await fetchParts({
    url: `${origin.url}/echo`,
    bytesMax: 10,
    idleMs: 1000,
    onHead: ({ status }) => expect(status).toBe(200),
    onPart: async () => undefined,
  });
});
