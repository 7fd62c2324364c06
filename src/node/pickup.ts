import type { Wants } from '../contract/wants.ts';
import { ONLINE } from './bringup/directory.ts';
import { DirectoryError } from '../sdk/index.ts';
import { formatDuration, SECOND_MS } from '../lib/units.ts';
import { sentenceOf } from '../lib/errors.ts';

const RETRY_MS = SECOND_MS;
const RETRY_MS_MAX = 60 * SECOND_MS;
/** After so many feeds that broke before they said anything, the node asks instead. */
const SILENT_FEEDS_MAX = 3;
/** So many long-polls until the feed is tried again. */
const POLLS = 20;
export const POLL_WAIT_MS = 25 * SECOND_MS;

/** The node's one connection: opened from the inside, read only. */
export type Feed = {
  /** Every document of the feed, until it breaks. */
  readonly open: (signal: AbortSignal) => AsyncIterable<Wants>;
  /** The document after `revision`, or `null` when there was none in `waitMs`. */
  readonly poll: (ask: { after: number; waitMs: number }) => Promise<Wants | null>;
  /** This address gave nothing: another one is next. */
  readonly skip: () => void;
};

export type PickupParts = {
  readonly feed: Feed;
  /** Called with one document at a time. */
  readonly onWants: (wants: Wants) => Promise<void>;
  /** The directory answered and refused: it may not know this node any more. */
  readonly onRefused: () => Promise<void>;
  readonly say: (text: string) => void;
  readonly waits: (key: string, what: string | null) => void;
  readonly chance: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

/** Keeps the connection until the signal fires: the feed, or long-polls where none gets through. */
export async function pickUp(parts: PickupParts, signal: AbortSignal): Promise<void> {
  let revision = 0;
  let failures = 0;
  let silentFeeds = 0;
  const take = async (wants: Wants): Promise<void> => {
    if (failures > 0) parts.say('directory is back');
    parts.waits(ONLINE, null);
    failures = 0;
    revision = wants.revision;
    await parts.onWants(wants);
  };
  const readFeed = async (): Promise<void> => {
    silentFeeds += 1;
    for await (const wants of parts.feed.open(signal)) {
      silentFeeds = 0;
      await take(wants);
    }
    throw new Error('The directory closed the feed.');
  };
  const poll = async (): Promise<void> => {
    for (let polls = 0; polls < POLLS && !signal.aborted; polls += 1) {
      const wants = await parts.feed.poll({ after: revision, waitMs: POLL_WAIT_MS });
      if (wants !== null) await take(wants);
    }
    silentFeeds = 0;
  };
  while (!signal.aborted) {
    try {
      await (silentFeeds < SILENT_FEEDS_MAX ? readFeed() : poll());
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const delayMs =
        Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX) * (0.5 + parts.chance() / 2);
      const how = silentFeeds < SILENT_FEEDS_MAX ? 'feed' : 'long-poll';
      parts.waits(
        ONLINE,
        `the directory by ${how}: ${sentenceOf(error)} ` +
          `try ${failures}, next in ${formatDuration(delayMs)}`,
      );
      await parts.sleep(delayMs, signal);
      if (error instanceof DirectoryError) await parts.onRefused();
      else parts.feed.skip();
    }
  }
}
