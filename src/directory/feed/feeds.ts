import type { ServerResponse } from 'node:http';
import type { Wants } from '../../contract/wants.ts';
import type { Log } from '../../host/log.ts';
import type { Notifier } from './notifier.ts';

/** A comment after so many ticks without a word, so that dead connections are noticed. */
export const QUIET_TICKS_MAX = 15;
/** How many ticks a reader may leave bytes unread. */
export const UNREAD_TICKS_MAX = 30;

export type FeedParts = {
  readonly notifier: Notifier;
  readonly wants: (node: string) => Promise<Wants | undefined>;
  readonly log: Log;
};

export type Feeds = {
  /** Writes a node's wants now and at every change, until the connection or the feeds close. */
  readonly open: (node: string, raw: ServerResponse, last: number) => void;
  readonly count: () => number;
  /** To be called every second: signs of life, and the end of connections that nobody reads. */
  readonly tick: () => void;
  readonly close: () => void;
};

/**
 * One connection. Thousands of them wait at once, so that each is a few words of memory: no timer,
 * no promise and nothing of its request while it waits.
 */
type Feed = {
  readonly node: string;
  readonly raw: ServerResponse;
  readonly leave: () => void;
  /** The revision that the reader saw last. */
  shown: number;
  quietTicks: number;
  unreadTicks: number;
  isWriting: boolean;
  /** Something changed while the wants of before were read. */
  isStale: boolean;
};

/** The feeds of one process; one clock for all of their signs of life. */
export function openFeeds(parts: FeedParts): Feeds {
  const open = new Map<string, Feed>();
  const end = (feed: Feed): void => {
    feed.leave();
    if (open.get(feed.node) === feed) open.delete(feed.node);
    feed.raw.destroy();
  };
  return {
    open: (node, raw, last) => {
      // The newest connection of a node counts: the one before may be dead without our knowing.
      const before = open.get(node);
      if (before !== undefined) end(before);
      const write = () => void pump(parts, feed, end);
      const leave = parts.notifier.listen(node, { wake: write, close: () => end(feed) });
      const state = { quietTicks: 0, unreadTicks: 0, isWriting: false, isStale: false };
      const feed: Feed = { node, raw, leave, shown: last, ...state };
      open.set(node, feed);
      raw.once('close', () => end(feed));
      raw.on('error', () => end(feed));
      raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      raw.flushHeaders();
      write();
    },
    count: () => open.size,
    tick: () => {
      for (const feed of open.values()) if (!isThere(feed)) end(feed);
    },
    close: () => {
      for (const feed of open.values()) end(feed);
    },
  };
}

/** Writes whole wants, the newest only: changes that come while one is read become one. */
async function pump(parts: FeedParts, feed: Feed, end: (feed: Feed) => void): Promise<void> {
  feed.isStale = true;
  // While bytes are unread, the newest waits in the books: `drained` comes back for it.
  if (feed.isWriting || feed.raw.writableNeedDrain) return;
  feed.isWriting = true;
  try {
    while (feed.isStale && !feed.raw.destroyed && !feed.raw.writableNeedDrain) {
      feed.isStale = false;
      const wants = await parts.wants(feed.node);
      if (wants === undefined) return end(feed);
      if (wants.revision === feed.shown || feed.raw.destroyed) continue;
      feed.shown = wants.revision;
      feed.quietTicks = 0;
      const isRead = feed.raw.write(`id: ${wants.revision}\ndata: ${JSON.stringify(wants)}\n\n`);
      if (!isRead) feed.raw.once('drain', () => drained(parts, feed, end));
    }
  } catch (error) {
    parts.log.warn({ node: feed.node, error }, 'feed broke off');
    end(feed);
  } finally {
    feed.isWriting = false;
  }
}

function drained(parts: FeedParts, feed: Feed, end: (feed: Feed) => void): void {
  if (feed.isStale) void pump(parts, feed, end);
}

/** A second passed; whether the reader is still there, for all that can be told. */
function isThere(feed: Feed): boolean {
  feed.unreadTicks = feed.raw.writableLength > 0 ? feed.unreadTicks + 1 : 0;
  feed.quietTicks += 1;
  if (feed.quietTicks >= QUIET_TICKS_MAX && feed.unreadTicks === 0) {
    feed.quietTicks = 0;
    feed.raw.write(': alive\n\n');
  }
  return feed.unreadTicks < UNREAD_TICKS_MAX;
}
