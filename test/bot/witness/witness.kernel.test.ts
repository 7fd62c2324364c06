import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { exchange } from '../../../src/host/http.ts';
import { parseNoteKey, parseSignatures, verifyNote } from '../../../src/record/note.ts';
import { type History, historyOf } from '../../support/record/log.ts';
import { LOG, vkeyOf } from '../../support/record/signers.ts';
import { startWitness, watchLog } from '../../support/record/witness-process.ts';

const LOG_VKEY = vkeyOf(LOG, 'ed25519');
const TRUE = historyOf();
const OTHER = historyOf(10_000);

/** Sends a whole request at once over a connection that is open; answers come by `data`. */
function send(socket: Socket, body: Uint8Array): void {
  const head = `POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket.write(Buffer.concat([Buffer.from(head), body]));
}

async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function statusOf(url: string, body: Uint8Array): Promise<number> {
  const answer = await exchange({ url: `${url}/add-checkpoint`, method: 'POST', body });
  return answer.status;
}

/** The size that lies on the disk, as another process sees it. */
function openEye(folder: string): { readonly size: () => number } & Disposable {
  const database = new DatabaseSync(join(folder, 'witness.sqlite'), { readOnly: true });
  const read = database.prepare('SELECT size FROM heads');
  return {
    size: () => Number(read.get()?.['size']),
    [Symbol.dispose]: () => database.close(),
  };
}

test('killed between storing and answering, a witness still never signs a second history', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-witness-'));
  let caughtBetween = 0;
  for (let size = 1; size <= 4; size += 1) {
    const witness = await startWitness(folder, { logs: [LOG_VKEY] });
    const socket = await open(witness.url);
    using eye = openEye(folder);
    let answered = '';
    socket.on('data', (bytes) => (answered += String(bytes)));
    send(socket, TRUE.body(size - 1, size));
    // As soon as it lies on the disk, and before the answer has been signed.
    const turnsMax = 1_000_000;
    for (let turns = 0; eye.size() < size && turns < turnsMax; turns += 1);
    await witness.kill('SIGKILL');
    caughtBetween += answered === '' ? 1 : 0;

    await using again = await startWitness(folder);
    const { url } = again;
    expect(eye.size()).toBe(size);
    expect(await statusOf(url, OTHER.body(size, size))).toBe(409);
    expect(await statusOf(url, OTHER.body(size, size + 1))).toBe(422);
    // What was stored and never answered is signed when the log asks again from there.
    expect(await statusOf(url, TRUE.body(size - 1, size))).toBe(409);
    expect(await statusOf(url, TRUE.body(size, size))).toBe(200);
  }
  expect(caughtBetween).toBeGreaterThan(0);
});

type Asked = { readonly history: History; readonly size: number; readonly vkey: string };

/** Whether the witness signed this head, by what came back before it died. */
function isSigned(answer: string, { history, size, vkey }: Asked): boolean {
  const [head = '', text = ''] = answer.split('\r\n\r\n');
  if (!head.startsWith('HTTP/1.1 200') || !text.endsWith('\n')) return false;
  const [, body = ''] = Buffer.from(history.request(0, size).checkpoint)
    .toString()
    .match(/^([\s\S]*\n)\n/) ?? [''];
  const note = { body: Buffer.from(body), text: body, signatures: parseSignatures(text) };
  return verifyNote(note, [parseNoteKey(vkey)]).length === 1;
}

const TURNS = 8;

test('killed at any moment, it has signed one history and no other', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-witness-'));
  const signed: { history: string; size: number }[] = [];
  for (let turn = 0; turn <= TURNS; turn += 1) {
    const witness = await startWitness(folder, { logs: [LOG_VKEY] });
    using eye = openEye(folder);
    const seen = eye.size();
    for (const [name, history] of [
      ['true', TRUE],
      ['other', OTHER],
    ] as const) {
      const socket = await open(witness.url);
      let answer = '';
      socket.on('data', (bytes) => (answer += String(bytes)));
      send(socket, history.body(seen, seen + 1));
      const answered = once(socket, 'data');
      // The last turn is not cut short, so that something is signed in any case.
      if (turn === TURNS) await answered;
      else await Promise.race([answered, sleep(Math.random() * 60)]);
      if (name === 'other') await witness.kill('SIGKILL');
      if (isSigned(answer, { history, size: seen + 1, vkey: witness.vkey })) {
        signed.push({ history: name, size: seen + 1 });
      }
    }
  }
  const sizes = signed.map(({ size }) => size);
  expect(new Set(sizes).size).toBe(sizes.length);
  expect(new Set(signed.map(({ history }) => history)).size).toBe(1);
});

test('a log is named to a running witness, and everything survives a plain restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-witness-'));
  const first = await startWitness(folder, { name: 'w.example' });
  expect(await statusOf(first.url, TRUE.body(0, 5))).toBe(404);
  await watchLog(folder, LOG_VKEY);
  expect(await statusOf(first.url, TRUE.body(0, 5))).toBe(200);
  await first.kill('SIGTERM');
  await using second = await startWitness(folder);
  expect(second.vkey).toBe(first.vkey);
  expect(await statusOf(second.url, OTHER.body(5, 6))).toBe(422);
  expect(await statusOf(second.url, TRUE.body(5, 6))).toBe(200);
});
