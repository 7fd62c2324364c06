import type { Duplex } from 'node:stream';
import { sentenceOf } from '../../lib/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import { type Running, startWithSocket } from '../exec.ts';
import { HttpError } from '../http.ts';
import { type Desk, openDesk } from './desk.ts';
import type { Reach } from './errand.ts';
import { ERRANDS_MAX } from './frame.ts';

const BACK_OFF_MS = SECOND_MS;
const BACK_OFF_MS_MAX = MINUTE_MS;
/** One that ran this long was well: the next start is at once. */
const WELL_MS = 2 * MINUTE_MS;
/** One that does not answer within this hangs. */
const PING_MS = 15 * SECOND_MS;
/** So many of these until it answers first: a busy machine is slow to start it. */
const START_PINGS = 4;

export type CourierProcess = Pick<Running, 'ended' | 'stop'> & { readonly socket: Duplex };

export type KeepParts = {
  readonly start: () => CourierProcess;
  readonly steady: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Why it ended, each time; null when one is at work. */
  readonly onTrouble: (sentence: string | null) => void;
  readonly pingMs?: number;
};

export type Courier = {
  readonly reach: Reach;
  /** Keeps one at work until the signal fires. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/**
 * Keeps a courier at work: one that ends or hangs is followed by another, slower each time. What is
 * asked meanwhile waits as long as its head may take; nothing else of the agent does.
 */
export function openCourier(parts: KeepParts): Courier {
  const { sleep, steady, onTrouble, pingMs = PING_MS } = parts;
  let current = Promise.withResolvers<Desk>();
  const next = (): void => void (current = Promise.withResolvers<Desk>());
  const once = async (signal: AbortSignal): Promise<string> => {
    const courier = parts.start();
    const broken = Promise.withResolvers<string>();
    const desk = openDesk(courier.socket, (error) => broken.resolve(sentenceOf(error)));
    const over = new AbortController();
    const stop = (): void => void courier.stop();
    signal.addEventListener('abort', stop, { once: true });
    const onAlive = (): void => onTrouble(null);
    void watch({ desk, sleep, pingMs, onAlive, signal: over.signal }).then(broken.resolve);
    current.resolve(desk);
    const why = await broken.promise;
    next();
    over.abort();
    signal.removeEventListener('abort', stop);
    await courier.stop();
    const { exitCode, signal: killedBy } = await courier.ended;
    return `${why} (${killedBy ?? `status ${exitCode}`})`;
  };
  const run = async (signal: AbortSignal): Promise<void> => {
    for (let backOffMs = BACK_OFF_MS; !signal.aborted;) {
      const startedMs = steady();
      const why = await once(signal).catch(sentenceOf);
      if (signal.aborted) return;
      onTrouble(why);
      if (steady() - startedMs >= WELL_MS) backOffMs = BACK_OFF_MS;
      await sleep(backOffMs, signal);
      backOffMs = Math.min(backOffMs * 2, BACK_OFF_MS_MAX);
    }
  };
  const reach: Reach = async (errand, signal) => {
    const desk = await deskIn(current.promise, AbortSignal.any([signal, patience(errand.headMs)]));
    if (!desk.isFull()) return desk.reach(errand, signal);
    const sentence = `${errand.url} waits: ${ERRANDS_MAX} requests are under way already.`;
    throw new HttpError('HTTP_UNREACHABLE', sentence);
  };
  return { reach, run };
}

/** The courier of a node: confined by `init courier` before it runs; see `image/init/confine/`. */
export function startConfined(onLine: (line: string) => void): CourierProcess {
  return startWithSocket({ file: '/sbin/init', args: ['courier'], onLine });
}

async function watch(wish: {
  readonly desk: Desk;
  readonly sleep: KeepParts['sleep'];
  readonly pingMs: number;
  readonly onAlive: () => void;
  readonly signal: AbortSignal;
}): Promise<string> {
  const { desk, sleep, pingMs, onAlive, signal } = wish;
  let isWell = false;
  desk.isAlive();
  for (let missed = 0; missed < (isWell ? 1 : START_PINGS);) {
    await sleep(pingMs, signal);
    if (signal.aborted) break;
    const isAlive = desk.isAlive();
    if (isAlive) onAlive();
    isWell ||= isAlive;
    missed = isAlive ? 0 : missed + 1;
  }
  return 'The courier does not answer.';
}

function patience(headMs: number): AbortSignal {
  return headMs === 0 ? new AbortController().signal : AbortSignal.timeout(headMs);
}

async function deskIn(desk: Promise<Desk>, signal: AbortSignal): Promise<Desk> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([desk, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
