import { SECOND_MS } from '../lib/units.ts';

export type BucketLimits = {
  readonly perSecond: number;
  /** The most that may come at once after a pause. */
  readonly burst: number;
  /** The most keys that are remembered; the one that was quiet longest is forgotten first. */
  readonly keysMax: number;
};

export type Buckets = {
  /** Takes one token of a key: 0, or the milliseconds until there is one. */
  readonly take: (key: string, nowMs: number) => number;
};

/** Token buckets, one a key, in bounded memory. */
export function makeBuckets(limits: BucketLimits): Buckets {
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  const perMs = limits.perSecond / SECOND_MS;
  return {
    take: (key, nowMs) => {
      const before = buckets.get(key) ?? { tokens: limits.burst, atMs: nowMs };
      const grown = before.tokens + Math.max(0, nowMs - before.atMs) * perMs;
      const tokens = Math.min(limits.burst, grown);
      const isEmpty = tokens < 1;
      buckets.delete(key);
      buckets.set(key, { tokens: isEmpty ? tokens : tokens - 1, atMs: nowMs });
      const oldest = buckets.keys().next();
      if (buckets.size > limits.keysMax && oldest.done !== true) buckets.delete(oldest.value);
      return isEmpty ? Math.ceil((1 - tokens) / perMs) : 0;
    },
  };
}

/** What counts as one address: an IPv6 customer has a whole /64. */
export function addressKey(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').length;
  const zeros = Array.from({ length: Math.max(0, missing) }, () => '0');
  return [...groups, ...zeros].slice(0, 4).join(':');
}
