import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { askTime } from '../../../src/host/net/sntp.ts';

const MARK = new Uint8Array(8).fill(0x42);
const SECONDS = 3_972_672_000;
const NOW_MS = (SECONDS - 2_208_988_800) * 1000;

type Server = AsyncDisposable & { readonly port: number };

/** A time server that answers each question as it is told to. */
async function openServer(answerTo: (question: Buffer) => Buffer | undefined): Promise<Server> {
  const socket = createSocket('udp4');
  socket.on('message', (question, { port, address }) => {
    const answer = answerTo(question);
    if (answer !== undefined) socket.send(answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}

function honest(question: Buffer): Buffer {
  const answer = Buffer.alloc(48);
  answer.set([0x24, 2]);
  question.copy(answer, 24, 40, 48);
  answer.writeUInt32BE(SECONDS, 40);
  return answer;
}

function changed(edit: (answer: Buffer) => void): (question: Buffer) => Buffer {
  return (question) => {
    const answer = honest(question);
    edit(answer);
    return answer;
  };
}

async function ask(port: number): Promise<number | undefined> {
  return askTime({ servers: ['127.0.0.1'], chance: () => MARK, deadlineMs: 300, port });
}

test('a time server is asked, and believed as far as a hint goes', async () => {
  await using server = await openServer(honest);
  expect(await ask(server.port)).toBe(NOW_MS);
});

test.each([
  ['says nothing', () => undefined],
  ['answers another question', changed((answer) => answer.fill(0, 24, 32))],
  ['is not synchronized itself', changed((answer) => answer.writeUInt8(0xe4, 0))],
  ['says that it is to be left alone', changed((answer) => answer.writeUInt8(0, 1))],
  ['has no time', changed((answer) => answer.fill(0, 40, 48))],
  ['answers in half', (question: Buffer) => honest(question).subarray(0, 47)],
])('a time server that %s tells no time', async (_, answerTo) => {
  await using server = await openServer(answerTo);
  expect(await ask(server.port)).toBeUndefined();
});
