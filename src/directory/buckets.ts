/** One token in thousandths: integers only, for the sum of many small parts has to be exact. */
const TOKEN = 1000;

export type BucketLimits = {
  /** A whole number: thousandths of a token then come in whole numbers a millisecond. */
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
  const buckets = new Map<string, { thousandths: number; atMs: number }>();
  const { perSecond, keysMax } = limits;
  const full = limits.burst * TOKEN;
  return {
    take: (key, nowMs) => {
      const before = buckets.get(key) ?? { thousandths: full, atMs: nowMs };
      const grown = before.thousandths + Math.max(0, nowMs - before.atMs) * perSecond;
      const thousandths = Math.min(full, grown);
      const isEmpty = thousandths < TOKEN;
      buckets.delete(key);
      buckets.set(key, { thousandths: isEmpty ? thousandths : thousandths - TOKEN, atMs: nowMs });
      const oldest = buckets.keys().next();
      if (buckets.size > keysMax && oldest.done !== true) buckets.delete(oldest.value);
      return isEmpty ? Math.ceil((TOKEN - thousandths) / perSecond) : 0;
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
