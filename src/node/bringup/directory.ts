import { HttpError } from '../../host/http.ts';
import { type Client, DirectoryError, openClient } from '../../sdk/index.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import type { OnReached } from '../health/reach.ts';
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

/** Opens the directory at these addresses, which are never none in a signed release. */
export function openDirectoryOf(
  urls: readonly string[],
  onReached: OnReached,
  signal: AbortSignal,
): Directory {
  const [first = '', ...others] = urls;
  const addressOf = (url: string): Address => ({
    url,
    client: openClient({ baseUrl: url, signal }),
  });
  return openDirectory([addressOf(first), ...others.map(addressOf)], onReached);
}

/** Opens the directory by all its addresses, the first one first. */
export function openDirectory(
  addresses: readonly [Address, ...Address[]],
  onReached: OnReached = () => undefined,
): Directory {
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
        const answer = await work(current().client);
        onReached(null);
        return answer;
      } catch (error) {
        onReached(error);
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
/** Somebody stands before the screen. */
const APPROVAL_MS = 10 * SECOND_MS;

/** The one wait for whatever the directory has to give: each takes the place of the one before. */
export const ONLINE = 'directory';

/** The wait for a farmer's word. */
export const APPROVAL = 'approval';

export type Patience = {
  readonly waits: (key: string, what: string | null) => void;
  readonly chance: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

/**
 * Tries until it works or the signal fires, slower each time, and says what it waits for: `waits
 * for directory http://...: unreachable, try 4, next in 8.0 s`.
 */
export async function keepTrying<T>(
  work: () => Promise<T>,
  about: { readonly what: () => string; readonly patience: Patience },
  signal: AbortSignal,
): Promise<T> {
  const { waits, chance, sleep } = about.patience;
  for (let tries = 1; ; tries += 1) {
    const what = about.what();
    try {
      const done = await work();
      for (const key of [ONLINE, APPROVAL]) waits(key, null);
      return done;
    } catch (error) {
      signal.throwIfAborted();
      // The directory answered: it is somebody else who has to do something.
      const isUnapproved = codeOf(error) === 'NOT_APPROVED';
      const longestMs = isUnapproved ? APPROVAL_MS : RETRY_MS_MAX;
      const delayMs = Math.min(RETRY_MS * 2 ** (tries - 1), longestMs) * (0.5 + chance() / 2);
      const next = `try ${tries}, next in ${formatDuration(delayMs)}`;
      const trouble = `${what}: ${codeOf(error)} ${sentenceOf(error)} ${next}`;
      if (isUnapproved) waits(APPROVAL, 'its farmer');
      waits(ONLINE, isUnapproved ? null : trouble);
      await sleep(delayMs, signal);
      signal.throwIfAborted();
    }
  }
}
