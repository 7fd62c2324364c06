import { once } from 'node:events';
import { mkdtempSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLetterBox } from '../../../src/bot/witness/letters.ts';
import { makeWitness } from '../../../src/bot/witness/server.ts';
import { openWitnessStore, type WitnessStore } from '../../../src/bot/witness/store.ts';
import { formatNote, parseNote, parseNoteKey, verifyNote } from '../../../src/record/note.ts';
import { historyOf } from '../../support/record/log.ts';
import { LOG, signerOf, verdict, vkeyOf, WITNESSES } from '../../support/record/signers.ts';

const NOW_MS = 1_795_272_000_000;
const LOG_VKEY = vkeyOf(LOG, 'ed25519');
const ours = historyOf();
const theirs = historyOf(10_000);

type Said = { readonly status: number; readonly type: string; readonly text: string };
type TestWitness = {
  readonly store: WitnessStore;
  readonly folder: string;
  readonly port: number;
  readonly alarms: string[];
  readonly failures: unknown[];
  readonly add: (body: Uint8Array) => Promise<Said>;
};

/** A witness's real server over a real memory, in a folder of its own. */
async function openWitness(requestDeadlineMs = 10_000): Promise<TestWitness> {
  const folder = mkdtempSync(join(tmpdir(), 'zos-witness-'));
  const store = openWitnessStore(folder, 'w.example');
  store.watch(LOG_VKEY);
  const alarms: string[] = [];
  const failures: unknown[] = [];
  const box = openLetterBox(folder);
  const server = makeWitness({
    store,
    box,
    nowMs: () => NOW_MS,
    requestDeadlineMs,
    onAlarm: (sentence) => alarms.push(sentence),
    onFailure: (error) => failures.push(error),
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    store[Symbol.dispose]();
    box[Symbol.dispose]();
  });
  const { port } = server.address() as AddressInfo;
  return {
    store,
    folder,
    port,
    alarms,
    failures,
    add: async (body) => ask(port, { body }),
  };
}

type Asked = { readonly path?: string; readonly method?: string; readonly body?: Uint8Array };

async function ask(port: number, wish: Asked): Promise<Said> {
  const { path = '/add-checkpoint', method = 'POST', body = new Uint8Array() } = wish;
  const asked = request({ host: '127.0.0.1', port, path, method, agent: false });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const parts = await answer.toArray();
  return {
    status: answer.statusCode ?? 0,
    type: answer.headers['content-type'] ?? '',
    text: Buffer.concat(parts).toString(),
  };
}

/** The first line of the answer to bytes after which nothing more comes. */
async function stall(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(text);
  const parts = (await socket.toArray()) as Buffer[];
  return Buffer.concat(parts).toString().split('\r\n')[0] ?? '';
}

test('a log that grows is cosigned with the time, under the key that the witness printed', async () => {
  const { store, add } = await openWitness();
  let older = 0;
  for (const size of [1, 5, 5, 300]) {
    const { checkpoint } = ours.request(older, size);
    const said = await add(ours.body(older, size));
    expect(said.status).toBe(200);
    const note = parseNote(checkpoint);
    const whole = parseNote(
      Buffer.concat([formatNote(note.text, note.signatures), Buffer.from(said.text)]),
    );
    const signed = verifyNote(whole, [parseNoteKey(store.vkey)]);
    expect(signed.map(({ timeSeconds }) => timeSeconds)).toEqual([NOW_MS / 1000]);
    older = size;
  }
});

test('a log that is behind is told the size, and nothing else, in the type that it waits for', async () => {
  const { add } = await openWitness();
  await add(ours.body(0, 10));
  for (const [olderSize, size] of [
    [0, 5],
    [5, 10],
    [0, 300],
  ] as const) {
    const said = await add(ours.body(olderSize, size));
    expect(said).toEqual({ status: 409, type: 'text/x.tlog.size', text: '10\n' });
  }
});

test('a second history is never cosigned, and one of the same size is an alarm', async () => {
  const { store, add, alarms } = await openWitness();
  await add(ours.body(0, 10));
  expect(await add(theirs.body(10, 10))).toMatchObject({ status: 409, type: 'text/plain' });
  expect(alarms).toEqual(['The log shows two histories of 10 entries; tell everybody.']);
  expect(await add(theirs.body(10, 20))).toMatchObject({ status: 422 });
  expect(store.watched(LOG.name)?.latest).toEqual(ours.headOf(10));
  expect(await add(ours.body(10, 20))).toMatchObject({ status: 200 });
});

const stranger = signerOf(LOG.name, 99);
const other = signerOf('other.example', 1);

test('an unknown log is not found, and a wrong signature is refused', async () => {
  const { store, add } = await openWitness();
  expect(await add(ours.body(0, 5, other))).toMatchObject({ status: 404 });
  expect(await add(ours.body(0, 5, stranger))).toMatchObject({ status: 403 });
  expect(await add(Buffer.from('old 0\n\nwords'))).toMatchObject({ status: 400 });
  expect(await add(Buffer.from('words'))).toMatchObject({ status: 400 });
  expect(store.watched(LOG.name)?.latest.size).toBe(0);
});

test('whatever else is asked for is not there', async () => {
  const { port } = await openWitness();
  expect(await ask(port, { path: '/' })).toMatchObject({ status: 404 });
  expect(await ask(port, { method: 'PUT' })).toMatchObject({ status: 405 });
});

test('a body that is too long is refused before it is read to its end', async () => {
  const { port, add } = await openWitness();
  const claimed = await stall(
    port,
    'POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n',
  );
  expect(claimed).toBe('HTTP/1.1 413 Payload Too Large');
  const part = 'a'.repeat(200_000);
  const chunked = await stall(
    port,
    'POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' +
      `${part.length.toString(16)}\r\n${part}\r\n`,
  );
  expect(chunked).toBe('HTTP/1.1 413 Payload Too Large');
  expect(await add(ours.body(0, 5))).toMatchObject({ status: 200 });
});

test('who sends a head or a body too slowly is cut off while others are served', async () => {
  const { port, add } = await openWitness(400);
  const head = stall(port, 'POST /add-checkpoint HTTP/1.1\r\nHost: a\r\n');
  const start = 'POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nold';
  const body = stall(port, start);
  expect(await add(ours.body(0, 5))).toMatchObject({ status: 200 });
  expect(await head).toBe('HTTP/1.1 408 Request Timeout');
  expect(await body).toBe('HTTP/1.1 408 Request Timeout');
});

test('a witness that forgot has lost its key too, and one that did not goes on where it was', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-witness-'));
  const first = openWitnessStore(folder, 'w.example');
  first.watch(LOG_VKEY);
  const plan = { origin: LOG.name, from: ours.headOf(0), to: ours.headOf(7), text: '' };
  expect([first.advance(plan), first.advance(plan)]).toEqual([true, false]);
  first[Symbol.dispose]();
  using again = openWitnessStore(folder);
  again.watch(LOG_VKEY);
  expect(again.watched(LOG.name)?.latest).toEqual(ours.headOf(7));
  expect(again.vkey).toBe(first.vkey);
  using forgot = openWitnessStore(mkdtempSync(join(tmpdir(), 'zos-witness-')), 'w.example');
  expect(forgot.vkey).not.toBe(first.vkey);
  expect(statSync(join(folder, 'witness.sqlite')).mode & 0o777).toBe(0o600);
});

test('a witness keeps its name, and watches logs and no witnesses', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-witness-'));
  using store = openWitnessStore(folder, 'w.example');
  const [witness = LOG] = WITNESSES;
  expect(verdict(() => store.watch(vkeyOf(witness, 'cosignature-v1')))).toBe('USAGE');
  expect(verdict(() => store.watch('words'))).toBe('KEY_MALFORMED');
  expect(verdict(() => openWitnessStore(folder, 'another.example'))).toBe('USAGE');
  expect(verdict(() => openWitnessStore('/proc/nowhere'))).toBe('HOME_UNWRITABLE');
});

test('when nothing can be stored, nothing is signed', async () => {
  const { folder, add, failures } = await openWitness();
  using breaker = new DatabaseSync(join(folder, 'witness.sqlite'));
  breaker.exec("CREATE TRIGGER f BEFORE UPDATE ON heads BEGIN SELECT RAISE(ABORT, 'full'); END");
  expect(await add(ours.body(0, 5))).toMatchObject({ status: 500 });
  expect(failures).toHaveLength(1);
});
