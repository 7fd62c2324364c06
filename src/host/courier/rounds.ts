import type { Duplex } from 'node:stream';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { httpErrorOf } from '../http.ts';
import { drained } from './desk.ts';
import {
  type Errand,
  ERRAND_BODY_BYTES_MAX,
  type Reach,
  readErrand,
  type WayOut,
  writeFailure,
  writeHead,
} from './errand.ts';
import {
  CourierError,
  ERRANDS_MAX,
  type Frame,
  FRAME_BODY_BYTES_MAX,
  FrameReader,
  KIND,
  readCount,
  WINDOW_BYTES,
  writeFrame,
} from './frame.ts';

type Round = {
  readonly id: number;
  readonly errand: Errand;
  readonly stop: AbortController;
  readonly body: Uint8Array[];
  bodyBytes: number;
  isGoing: boolean;
  /** How much of the answer may still go to the agent. */
  mayBytes: number;
  wake: () => void;
};

export type RoundsParts = {
  readonly socket: Duplex;
  readonly reach: Reach;
  readonly useWay: (way: WayOut) => void;
};

/**
 * The courier's end: does each errand that comes and sends back what came of it, never more than
 * the agent has room for. Ends with the socket; rejects at what the agent would not send.
 */
export async function doRounds({ socket, reach, useWay }: RoundsParts): Promise<void> {
  const rounds = new Map<number, Round>();
  const reader = new FrameReader();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const run = async (round: Round): Promise<void> => {
    try {
      await doRound({ socket, reach }, round);
    } catch (error) {
      if (!round.stop.signal.aborted) {
        const known = httpErrorOf(round.errand.url, error);
        const failure = { code: codeOf(known), sentence: sentenceOf(known) };
        socket.write(writeFrame(KIND.fail, round.id, writeFailure(failure)));
      }
    } finally {
      rounds.delete(round.id);
    }
  };
  const take = (frame: Frame): void => {
    if (frame.kind === KIND.ping) socket.write(writeFrame(KIND.pong));
    else if (frame.kind === KIND.ask) rounds.set(frame.errand, begin(frame, rounds.size));
    else hear(frame, rounds, (round) => void (useWay(round.errand.way), run(round)));
  };
  socket.setMaxListeners(3 * ERRANDS_MAX);
  socket.on('error', () => undefined);
  for (const name of ['end', 'close'] as const) socket.once(name, resolve);
  socket.on('data', (bytes: Uint8Array) => {
    try {
      for (const frame of reader.push(bytes)) take(frame);
    } catch (error) {
      reject(error);
    }
  });
  await promise;
}

function begin({ errand: id, body }: Frame, under: number): Round {
  // Those that were given up are on their way out.
  if (under >= 2 * ERRANDS_MAX) throw new CourierError('COURIER_BROKEN', 'Too many errands.');
  const stop = new AbortController();
  const errand = readErrand(body);
  return {
    id,
    errand,
    stop,
    body: [],
    bodyBytes: 0,
    isGoing: false,
    mayBytes: WINDOW_BYTES,
    wake: () => undefined,
  };
}

function hear(
  { kind, errand, body }: Frame,
  rounds: Map<number, Round>,
  go: (round: Round) => void,
): void {
  const round = rounds.get(errand);
  if (round === undefined) return;
  switch (kind) {
    case KIND.body:
      round.body.push(body);
      round.bodyBytes += body.length;
      if (round.bodyBytes <= ERRAND_BODY_BYTES_MAX) break;
      throw new CourierError('COURIER_BROKEN', 'An errand takes more along than it may.');
    case KIND.go:
      if (round.isGoing) throw new CourierError('COURIER_BROKEN', 'An errand begins once.');
      round.isGoing = true;
      go(round);
      break;
    case KIND.more:
      round.mayBytes += readCount(body);
      break;
    case KIND.stop:
      round.stop.abort();
      if (!round.isGoing) rounds.delete(errand);
      break;
    case KIND.ask:
    case KIND.head:
    case KIND.part:
    case KIND.end:
    case KIND.fail:
    case KIND.ping:
    case KIND.pong:
      throw new CourierError('COURIER_BROKEN', 'The agent said what only a courier says.');
  }
  round.wake();
}

async function doRound({ socket, reach }: Pick<RoundsParts, 'socket' | 'reach'>, round: Round) {
  const { id, stop, body, errand } = round;
  const { signal } = stop;
  const whole = body.length === 0 ? {} : { body: new Uint8Array(Buffer.concat(body)) };
  body.length = 0;
  const answer = await reach({ ...errand, ...whole }, signal);
  try {
    socket.write(writeFrame(KIND.head, id, writeHead(answer)));
    for await (const chunk of answer.chunks) {
      for (let at = 0; at < chunk.length;) {
        while (round.mayBytes === 0 && !signal.aborted) await woken(round);
        signal.throwIfAborted();
        const most = Math.min(round.mayBytes, FRAME_BODY_BYTES_MAX);
        const part = chunk.subarray(at, at + most);
        at += part.length;
        round.mayBytes -= part.length;
        if (!socket.write(writeFrame(KIND.part, id, part))) await drained(socket, signal);
      }
    }
    socket.write(writeFrame(KIND.end, id));
  } finally {
    answer.close();
  }
}

async function woken(round: Round): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  round.wake = resolve;
  await promise;
}
