import type { Duplex } from 'node:stream';
import { MiB } from '../../lib/units.ts';
import { HTTP_CODES, HttpError } from '../http.ts';
import {
  type AnswerHead,
  type Errand,
  ERRAND_BODY_BYTES_MAX,
  type Failure,
  readFailure,
  readHead,
  type Reached,
  writeErrand,
} from './errand.ts';
import {
  CourierError,
  ERRANDS_MAX,
  type Frame,
  FRAME_BODY_BYTES_MAX,
  FrameReader,
  KIND,
  type Kind,
  WINDOW_BYTES,
  writeCount,
  writeFrame,
} from './frame.ts';

/**
 * The agent's end of a courier's socket. What comes out of it is trusted as little as a network is:
 * bounded, read strictly, and one frame that is none ends it.
 */
export type Desk = {
  /** Throws `HttpError`, or the signal's reason. */
  readonly reach: (errand: Errand, signal: AbortSignal) => Promise<Reached>;
  readonly isFull: () => boolean;
  /** Whether the courier answered since this was asked last; asks again. */
  readonly isAlive: () => boolean;
};

type Out = {
  readonly url: string;
  head: PromiseWithResolvers<AnswerHead>;
  readonly parts: Uint8Array[];
  /** Came and was not taken; taken and not told. */
  waitingBytes: number;
  takenBytes: number;
  hasEnded: boolean;
  failure: Error | undefined;
  /** Something came. */
  wake: () => void;
};

/** Opens the agent's end; `onBroken` is told once why the courier can't go on. */
export function openDesk(socket: Duplex, onBroken: (error: Error) => void): Desk {
  const outs: Outs = new Map();
  let last = 0;
  let isAnswered = false;
  const onFrame = (frame: Frame): void => {
    if (frame.kind === KIND.pong) isAnswered = true;
    else take(outs, frame);
  };
  const onEnd = (error: Error): void => {
    for (const out of outs.values()) fail(out, lost(out.url));
    outs.clear();
    onBroken(error);
  };
  listen(socket, onFrame, onEnd);
  return {
    reach: async (errand, signal) => {
      last = (last + 1) % 2 ** 32;
      return goOut({ socket, outs, id: last, errand, signal });
    },
    isFull: () => outs.size >= ERRANDS_MAX,
    isAlive: () => {
      const was = isAnswered;
      isAnswered = false;
      send(socket, KIND.ping);
      return was;
    },
  };
}

type Outs = Map<number, Out>;

/** Hears frames until the other end is gone, or says what none is; `onEnd` is told once. */
function listen(
  socket: Duplex,
  onFrame: (frame: Frame) => void,
  onEnd: (error: Error) => void,
): void {
  const reader = new FrameReader();
  let isOver = false;
  const end = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    onEnd(error instanceof Error ? error : new Error(String(error)));
  };
  socket.setMaxListeners(3 * ERRANDS_MAX);
  socket.on('error', () => undefined);
  for (const name of ['end', 'close'] as const) {
    const gone = new CourierError('COURIER_BROKEN', 'The courier is gone.');
    socket.once(name, () => end(gone));
  }
  socket.on('data', (bytes: Uint8Array) => {
    try {
      for (const frame of reader.push(bytes)) onFrame(frame);
    } catch (error) {
      end(error);
    }
  });
}

function send(
  socket: Duplex,
  kind: Kind,
  ...rest: readonly [id?: number, body?: Uint8Array]
): void {
  if (socket.writable) socket.write(writeFrame(kind, ...rest));
}

async function goOut(wish: {
  readonly socket: Duplex;
  readonly outs: Outs;
  readonly id: number;
  readonly errand: Errand;
  readonly signal: AbortSignal;
}): Promise<Reached> {
  const { socket, outs, id, errand, signal } = wish;
  const { url, body } = errand;
  signal.throwIfAborted();
  if (body !== undefined && body.length > ERRAND_BODY_BYTES_MAX) throw tooLong(url);
  if (!socket.writable) throw lost(url);
  const out = newOut(url);
  outs.set(id, out);
  const drop = (): void => {
    if (outs.delete(id)) send(socket, KIND.stop, id);
  };
  const onAbort = (): void => {
    drop();
    fail(out, signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const close = (): void => {
    signal.removeEventListener('abort', onAbort);
    drop();
  };
  try {
    send(socket, KIND.ask, id, writeErrand(errand));
    await sendBody({ socket, id, body, signal });
    const head = await out.head.promise;
    const more = (bytes: number): void => send(socket, KIND.more, id, writeCount(bytes));
    return { ...head, close, chunks: chunksOf(out, more, close) };
  } catch (error) {
    close();
    throw error;
  }
}

function newOut(url: string): Out {
  const head = Promise.withResolvers<AnswerHead>();
  // It may fail while nobody waits for it any more.
  head.promise.catch(() => undefined);
  return {
    url,
    head,
    parts: [],
    waitingBytes: 0,
    takenBytes: 0,
    hasEnded: false,
    failure: undefined,
    wake: () => undefined,
  };
}

function take(outs: Map<number, Out>, { kind, errand, body }: Frame): void {
  const out = outs.get(errand);
  // Given up here while it was on its way.
  if (out === undefined) return;
  switch (kind) {
    case KIND.head:
      out.head.resolve(readHead(body));
      break;
    case KIND.part:
      out.parts.push(body);
      out.waitingBytes += body.length;
      // Not one byte more than was asked for lies here.
      if (out.waitingBytes + out.takenBytes > WINDOW_BYTES) {
        throw new CourierError('COURIER_BROKEN', 'The courier sent more than it may.');
      }
      break;
    case KIND.end:
      out.hasEnded = true;
      outs.delete(errand);
      break;
    case KIND.fail:
      outs.delete(errand);
      fail(out, errorOf(readFailure(body)));
      break;
    case KIND.ask:
    case KIND.body:
    case KIND.go:
    case KIND.more:
    case KIND.stop:
    case KIND.ping:
    case KIND.pong:
      throw new CourierError('COURIER_BROKEN', 'The courier said what only the agent says.');
  }
  out.wake();
}

async function* chunksOf(
  out: Out,
  more: (bytes: number) => void,
  close: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const part = out.parts.shift();
      if (part !== undefined) {
        yield part;
        out.waitingBytes -= part.length;
        out.takenBytes += part.length;
        if (out.takenBytes < WINDOW_BYTES / 2) continue;
        more(out.takenBytes);
        out.takenBytes = 0;
        continue;
      }
      if (out.failure !== undefined) throw out.failure;
      if (out.hasEnded) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      out.wake = resolve;
      await promise;
    }
  } finally {
    close();
  }
}

function fail(out: Out, reason: unknown): void {
  out.failure ??= reason instanceof Error ? reason : new Error(String(reason));
  out.head.reject(out.failure);
  out.wake();
}

async function sendBody(wish: {
  readonly socket: Duplex;
  readonly id: number;
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { socket, id, body = new Uint8Array(), signal } = wish;
  for (let at = 0; at < body.length; at += FRAME_BODY_BYTES_MAX) {
    signal.throwIfAborted();
    const isTaken = socket.write(
      writeFrame(KIND.body, id, body.subarray(at, at + FRAME_BODY_BYTES_MAX)),
    );
    if (!isTaken) await drained(socket, signal);
  }
  socket.write(writeFrame(KIND.go, id));
}

/** Settles when there is room again, when the other end is gone, and when nobody wants it. */
export async function drained(socket: Duplex, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const names = ['drain', 'close'] as const;
  const onAbort = (): void => resolve();
  for (const name of names) socket.once(name, resolve);
  signal?.addEventListener('abort', onAbort, { once: true });
  await promise;
  for (const name of names) socket.off(name, resolve);
  signal?.removeEventListener('abort', onAbort);
}

function errorOf({ code, sentence }: Failure): HttpError {
  const known = HTTP_CODES.find((each) => each === code) ?? 'HTTP_UNREACHABLE';
  return new HttpError(known, sentence);
}

function lost(url: string): HttpError {
  return new HttpError('HTTP_BROKEN_OFF', `The courier ended while it fetched ${url}; try again.`);
}

function tooLong(url: string): HttpError {
  const most = ERRAND_BODY_BYTES_MAX / MiB;
  return new HttpError('HTTP_TOO_LONG', `More than ${most} MiB were to be sent to ${url}.`);
}
