import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ArtifactError, type ReuseRun } from '../../src/artifact/spec.ts';
import { missingPieces, targetOf } from '../../src/artifact/verify.ts';

const signed = { length: 1000, hashes: { sha256: 'a'.repeat(64) }, custom: {} };

test('a target has a length, a SHA-256 and what can be reused', () => {
  const custom = {
    reuse: [
      [0, 100, 4096],
      [500, 500, 0],
    ],
  };
  expect(targetOf('system.erofs', { ...signed, custom })).toEqual({
    name: 'system.erofs',
    lengthBytes: 1000,
    sha256: 'a'.repeat(64),
    reuse: custom.reuse,
  });
});

test.each([
  ['is not listed', undefined, 'TARGET_MISSING'],
  ['has no SHA-256', { ...signed, hashes: { sha512: 'a'.repeat(128) } }, 'MALFORMED'],
  ['has a half length', { ...signed, length: 0.5 }, 'MALFORMED'],
  ['is too long', { ...signed, length: 2 ** 40 }, 'MALFORMED'],
  [
    'has runs that overlap',
    {
      ...signed,
      custom: {
        reuse: [
          [0, 10, 0],
          [9, 1, 0],
        ],
      },
    },
    'MALFORMED',
  ],
  ['has runs beyond its end', { ...signed, custom: { reuse: [[999, 2, 0]] } }, 'MALFORMED'],
  ['has a run before its start', { ...signed, custom: { reuse: [[-1, 2, 0]] } }, 'MALFORMED'],
  ['has runs that are none', { ...signed, custom: { reuse: 'all' } }, 'MALFORMED'],
] as const)('a target that %s is refused', (_, target, code) => {
  let found: unknown;
  try {
    targetOf('system.erofs', target);
  } catch (error) {
    found = error;
  }
  expect(found).toBeInstanceOf(ArtifactError);
  expect(found).toMatchObject({ code, facts: { artifact: 'system.erofs' } });
});

test('what is reused and what is missing are the whole file, each byte once', () => {
  const gaps = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 50 })), { maxLength: 20 });
  fc.assert(
    fc.property(gaps, fc.nat(50), (pairs, rest) => {
      const runs: ReuseRun[] = [];
      let end = 0;
      for (const [gap, length] of pairs) {
        runs.push([end + gap, length, 0]);
        end += gap + length;
      }
      const lengthBytes = end + rest;
      const covered = new Uint8Array(lengthBytes);
      const pieces = missingPieces(lengthBytes, runs).map((piece): ReuseRun => {
        return [piece.offsetBytes, piece.lengthBytes, 0];
      });
      for (const [offset, length] of [...runs, ...pieces]) {
        for (let at = offset; at < offset + length; at += 1) covered[at] = (covered[at] ?? 0) + 1;
      }
      expect(covered.every((count) => count === 1)).toBe(true);
    }),
  );
});
