import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes, utf8 } from '../../src/lib/bytes.ts';
import { entryOf, formatEntry, parseEntry } from '../../src/record/entry.ts';
import { parseNote, parseNoteKey } from '../../src/record/note.ts';
import { parsePolicy } from '../../src/record/policy.ts';
import { decodeBundle, encodeBundle, parseTilePath, tilePath } from '../../src/record/tile.ts';
import { formatTlogProof, parseTlogProof } from '../../src/record/tlog-proof.ts';
import { verifyCheckpoint } from '../../src/record/verify.ts';
import { formatCosignRequest, parseCosignRequest } from '../../src/record/witness.ts';
import { entries } from '../support/record/plain-tree.ts';
import { policyOf, recordVectors, verdict } from '../support/record/signers.ts';

const vectors = recordVectors();
const POLICY = policyOf(2);

type Reader = {
  readonly name: string;
  readonly good: Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
};

const READERS: readonly Reader[] = [
  { name: 'a note', good: utf8(vectors.checkpoint), read: parseNote },
  {
    name: 'a checkpoint',
    good: utf8(vectors.checkpoint),
    read: (bytes) => verifyCheckpoint(bytes, POLICY),
  },
  { name: 'a policy', good: utf8(vectors.policy), read: parsePolicy },
  {
    name: 'a proof',
    good: utf8(vectors.inclusion[0]?.tlogProof ?? ''),
    // What is read is written back the same: there is one way to say it.
    read: (bytes) => expect(formatTlogProof(parseTlogProof(bytes))).toEqual(bytes),
  },
  {
    name: 'a request',
    good: formatCosignRequest({
      olderSize: 7,
      proof: [new Uint8Array(32)],
      checkpoint: utf8(vectors.checkpoint),
    }),
    read: (bytes) => expect(formatCosignRequest(parseCosignRequest(bytes))).toEqual(bytes),
  },
  {
    name: 'a bundle',
    good: encodeBundle(entries(4)),
    read: (bytes) => expect(encodeBundle(decodeBundle(bytes, 4))).toEqual(bytes),
  },
  {
    name: 'an entry',
    good: formatEntry(entryOf('text/plain', utf8('a'), { node: 'a'.repeat(64), seq: 12 })),
    read: (bytes) => expect(formatEntry(parseEntry(bytes))).toEqual(bytes),
  },
  {
    name: 'a verifier key',
    good: utf8(vectors.logKey),
    read: (bytes) => parseNoteKey(new TextDecoder().decode(bytes)),
  },
];

/** Cut, doubled, spliced or spoilt somewhere. */
const damage = fc.record({
  at: fc.nat(),
  remove: fc.nat(40),
  insert: fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constantFrom('\n', '\n\n', ' ', '+', '— ', '=', '0', 'old ', 'index ', '#').map(utf8),
  ),
});

test.each(READERS)(
  '$name that is damaged is read or refused by a code, and nothing else',
  (reader) => {
    const { good, read } = reader;
    expect(verdict(() => read(good))).toBe('holds');
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), (damages) => {
        let bytes = good;
        for (const { at, remove, insert } of damages) {
          const place = at % (bytes.length + 1);
          bytes = concatBytes(bytes.slice(0, place), insert, bytes.slice(place + remove));
        }
        expect(verdict(() => read(bytes))).not.toBe('UNEXPECTED');
      }),
      { numRuns: 300 },
    );
  },
);

test('any text is one path of one tile, or none', () => {
  const parts = fc.constantFrom('tile', '/', '0', 'x', '001', '999', '.p/', 'entries', '63', '-');
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 12 }), (words) => {
      const path = words.join('');
      const tile = parseTilePath(path);
      expect(tile === undefined ? path : tilePath(tile)).toBe(path);
    }),
    { numRuns: 1000 },
  );
});
