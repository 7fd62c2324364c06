import { HttpError } from '../../host/http.ts';
import { type Client, DirectoryError } from '../../sdk/index.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { formatDuration, SECOND_MS } from '../../lib/units.ts';

/** The directory behind its addresses: the one that answered last is asked first. */
export type Directory = {
  /** One call; after an address that can't be reached, the next call goes to the next one. */
  readonly call: <T>(work: (client: Client) => Promise<T>) => Promise<T>;
  readonly client: () => Client;
  /** What is being tried, for people. */
  readonly url: () => string;
  readonly skip: () => void;
};

export type Address = { readonly url: string; readonly client: Client };

/** Opens the directory by all its addresses, the first one first. */
export function openDirectory(addresses: readonly [Address, ...Address[]]): Directory {
  let at = 0;
  const current = (): Address => addresses[at % addresses.length] ?? addresses[0];
  const skip = (): void => {
    at += 1;
  };
  return {
    client: () => current().client,
    url: () => current().url,
    skip,
    call: async (work) => {
      try {
        return await work(current().client);
      } catch (error) {
        if (error instanceof HttpError) skip();
        throw error;
      }
    },
  };
}

/** Whether the directory judged and will judge the same again, so that sending anew is no use. */
export function isFinal(error: unknown): boolean {
  if (!(error instanceof DirectoryError)) return false;
  const { status } = error.facts;
  return typeof status === 'number' && status >= 400 && status < 500 && status !== 429;
}

const RETRY_MS = SECOND_MS;
const RETRY_MS_MAX = 60 * SECOND_MS;

export type Patience = {
  readonly say: (text: string) => void;
  readonly chance: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

/**
 * Tries until it works or the signal fires, slower each time, and says what it waits for: `waiting
 * for directory http://...: unreachable, try 4, next in 8.0 s`.
 */
export async function keepTrying<T>(
  work: () => Promise<T>,
  about: { readonly what: () => string; readonly patience: Patience },
  signal: AbortSignal,
): Promise<T> {
  const { say, chance, sleep } = about.patience;
  for (let tries = 1; ; tries += 1) {
    const what = about.what();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const delayMs = Math.min(RETRY_MS * 2 ** (tries - 1), RETRY_MS_MAX) * (0.5 + chance() / 2);
      const next = `try ${tries}, next in ${formatDuration(delayMs)}`;
      say(`waiting for ${what}: ${codeOf(error)} ${sentenceOf(error)} ${next}`);
      await sleep(delayMs, signal);
      signal.throwIfAborted();
    }
  }
}
