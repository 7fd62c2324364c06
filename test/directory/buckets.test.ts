import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressKey, makeBuckets } from '../../src/directory/buckets.ts';
import { openNotifier } from '../../src/directory/feed/notifier.ts';

test('never more than the burst and the rate let through, and waiting as told helps', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 100 }), (pauses) => {
      const [perSecond, burst] = [5, 3];
      const buckets = makeBuckets({ perSecond, burst, keysMax: 10 });
      let [nowMs, taken] = [0, 0];
      for (const pauseMs of pauses) {
        nowMs += pauseMs;
        const waitMs = buckets.take('a', nowMs);
        if (waitMs === 0) taken += 1;
        else if (pauseMs % 2 === 0) {
          nowMs += waitMs;
          expect(buckets.take('a', nowMs)).toBe(0);
          taken += 1;
        }
      }
      expect(taken).toBeLessThanOrEqual(burst + (nowMs * perSecond) / 1000 + 1e-6);
    }),
  );
});

test('memory is bounded: the key that was quiet longest is forgotten', () => {
  const buckets = makeBuckets({ perSecond: 1, burst: 1, keysMax: 2 });
  expect(['a', 'b', 'a', 'c'].map((key) => buckets.take(key, 0) > 0)).toEqual([
    false,
    false,
    true,
    false,
  ]);
  // `b` was forgotten for `c`, and `a` was not.
  expect(buckets.take('a', 0)).toBeGreaterThan(0);
  expect(buckets.take('b', 0)).toBe(0);
});

test('a clock that goes back gives nothing away', () => {
  const buckets = makeBuckets({ perSecond: 1, burst: 1, keysMax: 2 });
  expect(buckets.take('a', 10_000)).toBe(0);
  expect(buckets.take('a', 0)).toBeGreaterThan(0);
});

test('an IPv6 customer is one address, whichever of their /64 they use', () => {
  expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2');
  expect(addressKey('2001:db8:1:2::9')).toBe('2001:db8:1:2');
  expect(addressKey('2001:db8::9')).toBe('2001:db8:0:0');
  expect(addressKey('::1')).toBe(addressKey('::2'));
  expect(addressKey('192.0.2.1')).toBe('192.0.2.1');
  expect(addressKey('::ffff:192.0.2.1')).not.toBe(addressKey('::ffff:192.0.2.2'));
});

test('a change between two questions is not lost, and comes once', async () => {
  const notifier = openNotifier();
  const watch = notifier.watch('a');
  notifier.wake(['a', 'b']);
  notifier.wake(['a']);
  expect(await watch.next(60_000)).toBe('changed');
  expect(await watch.next(1)).toBe('silent');
  const waiting = watch.next(60_000);
  notifier.wake(['b']);
  notifier.close();
  expect(await waiting).toBe('closed');
  expect(await watch.next(60_000)).toBe('closed');
});
