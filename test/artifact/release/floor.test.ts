import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  checkLowest,
  decodeFloor,
  encodeFloor,
  type Floor,
  FLOOR_BYTES,
  higherFloor,
} from '../../../src/artifact/release/floor.ts';
import type { Release } from '../../../src/artifact/release/metadata.ts';
import { ArtifactError, type Versions } from '../../../src/artifact/spec.ts';

const version = fc.nat({ max: 2 ** 40 });
const versions: fc.Arbitrary<Versions> = fc.record({
  root: version,
  timestamp: version,
  snapshot: version,
  targets: version,
});
const SHA256 = 'ab'.repeat(32);
const ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;

/** A release by its versions; roots 1 to its own, with these keys for timestamp and snapshot. */
function releaseOf(of: Versions, onlineKeys = (_version: number) => 'keys'): Release {
  const roots = Array.from({ length: of.root }, (_, index) => index + 1).map((root) => {
    return [root, { sha256: SHA256, onlineKeys: onlineKeys(root) }] as const;
  });
  const target = (): never => {
    throw new Error('not asked for here');
  };
  return { target, names: [], versions: of, expiries: [], roots: new Map(roots) };
}

function refusalOf(release: Release, floor: Floor): string {
  try {
    checkLowest(release, [{ floor, by: 'the disk' }]);
    return 'taken';
  } catch (error) {
    expect(error).toBeInstanceOf(ArtifactError);
    const { code, facts } = error as ArtifactError;
    return `${String(facts['artifact'])}: ${code}`;
  }
}

test('a floor is read as it was written, and one with any byte changed is none', () => {
  fc.assert(
    fc.property(
      versions,
      fc.nat(FLOOR_BYTES - 1),
      fc.integer({ min: 1, max: 255 }),
      (v, at, by) => {
        const bytes = encodeFloor({ versions: v, rootSha256: SHA256 });
        expect(bytes.length).toBe(FLOOR_BYTES);
        expect(decodeFloor(bytes)).toEqual({ versions: v, rootSha256: SHA256 });
        bytes[at] = (bytes[at] ?? 0) ^ by;
        expect(decodeFloor(bytes)).toBeUndefined();
      },
    ),
  );
});

test('a blank disk, one of somebody else, and half a record are no floor', () => {
  expect(decodeFloor(new Uint8Array(FLOOR_BYTES))).toBeUndefined();
  expect(decodeFloor(new Uint8Array(FLOOR_BYTES).fill(0x5a))).toBeUndefined();
  expect(decodeFloor(new Uint8Array(0))).toBeUndefined();
});

const SEEN: Versions = { root: 3, timestamp: 30, snapshot: 20, targets: 10 };

test.each(ROLES)('a release with an older %s than was seen is refused by its name', (role) => {
  const floor = { versions: SEEN, rootSha256: SHA256 };
  expect(refusalOf(releaseOf(SEEN), floor)).toBe('taken');
  const older = releaseOf({ ...SEEN, [role]: SEEN[role] - 1 });
  expect(refusalOf(older, floor)).toBe(`metadata/${role}.json: ROLLED_BACK`);
});

test('what a release of other keys left behind counts for nothing', () => {
  const floor = { versions: SEEN, rootSha256: 'cd'.repeat(32) };
  expect(refusalOf(releaseOf({ ...SEEN, targets: 1 }), floor)).toBe('taken');
});

test('a stolen timestamp key can not end all updates with a number: its keys were rotated', () => {
  const fastForward = { ...SEEN, timestamp: Number.MAX_SAFE_INTEGER };
  const floor = { versions: fastForward, rootSha256: SHA256 };
  const next = { root: 4, timestamp: 31, snapshot: 21, targets: 10 };
  expect(refusalOf(releaseOf(next), floor)).toBe('metadata/timestamp.json: ROLLED_BACK');
  const rotated = releaseOf(next, (root) => (root < 4 ? 'stolen' : 'new'));
  expect(refusalOf(rotated, floor)).toBe('taken');
  const older = releaseOf({ ...next, targets: 9 }, (root) => (root < 4 ? 'stolen' : 'new'));
  expect(refusalOf(older, floor)).toBe('metadata/targets.json: ROLLED_BACK');
});

test('the higher of two floors is below neither', () => {
  fc.assert(
    fc.property(versions, versions, (a, b) => {
      const floor = (of: Versions): Floor => ({ versions: of, rootSha256: SHA256 });
      const high = higherFloor(floor(a), floor(b)).versions;
      for (const role of ROLES) expect(high[role]).toBe(Math.max(a[role], b[role]));
    }),
  );
});
