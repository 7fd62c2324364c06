import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toBase64, utf8 } from '../../src/lib/bytes.ts';
import { ZosError } from '../../src/lib/errors.ts';
import { cosignCheckpoint, parseCheckpoint, signCheckpoint } from '../../src/record/checkpoint.ts';
import { formatNote, noteKeyOf, parseNote, signText, verifyNote } from '../../src/record/note.ts';
import { proveConsistency } from '../../src/record/proof.ts';
import { EMPTY_HEAD, EMPTY_ROOT, type TreeHead } from '../../src/record/tree.ts';
import {
  type CosignRequest,
  formatCosignRequest,
  parseCosignRequest,
  planCosign,
  type WatchedLog,
  WITNESS_STATUS,
} from '../../src/record/witness.ts';
import { leaves, plainReader, rootOf } from '../support/record/plain-tree.ts';
import { LOG, signerOf, verdict, WITNESSES } from '../support/record/signers.ts';

const KEY = noteKeyOf(LOG.name, 'ed25519', LOG.publicKey);
const NOW_SECONDS = 1_795_272_000;

function headOf(size: number): TreeHead {
  return { size, root: rootOf(leaves(size)) };
}

function watching(latest = EMPTY_HEAD): (origin: string) => WatchedLog | undefined {
  return (origin) => (origin === LOG.name ? { keys: [KEY], latest } : undefined);
}

/** What an honest log sends to a witness that saw `olderSize` entries last. */
function requestOf(olderSize: number, size: number): CosignRequest {
  const read = plainReader(leaves(size));
  const isFirst = olderSize === 0 || olderSize === size;
  const proof = isFirst ? [] : proveConsistency(olderSize, size, read);
  return { olderSize, proof, checkpoint: signCheckpoint(headOf(size), LOG) };
}

test('a witness cosigns the first head that it sees, and then what grows out of it', () => {
  expect(planCosign(requestOf(0, 5), watching())).toEqual({
    origin: LOG.name,
    from: EMPTY_HEAD,
    to: headOf(5),
    text: `${LOG.name}\n5\n${toBase64(headOf(5).root)}\n`,
  });
  const plan = planCosign(requestOf(5, 300), watching(headOf(5)));
  expect([plan.from, plan.to]).toEqual([headOf(5), headOf(300)]);
  // The same head again gets a new time; an empty log has a head too.
  expect(planCosign(requestOf(5, 5), watching(headOf(5))).to).toEqual(headOf(5));
  expect(planCosign(requestOf(0, 0), watching()).to).toEqual(EMPTY_HEAD);
});

test('what is cosigned after a plan is what the log asked to have cosigned', () => {
  const request = requestOf(0, 5);
  const { text } = planCosign(request, watching());
  const [witness = LOG] = WITNESSES;
  const key = noteKeyOf(witness.name, 'cosignature-v1', witness.publicKey);
  const cosignature = cosignCheckpoint(text, witness, NOW_SECONDS);
  const note = parseNote(request.checkpoint);
  const cosigned = parseNote(formatNote(note.text, [...note.signatures, cosignature]));
  expect(verifyNote(cosigned, [KEY, key]).map(({ timeSeconds }) => timeSeconds)).toEqual([
    undefined,
    NOW_SECONDS,
  ]);
});

/** A history that shares its first entries with the log's and then goes another way. */
function otherRequest(olderSize: number, size: number, shared: number): CosignRequest {
  const hashes = [...leaves(shared), ...leaves(size - shared, 10_000)];
  const read = plainReader(hashes);
  const proof = olderSize === size ? [] : proveConsistency(olderSize, size, read);
  return {
    olderSize,
    proof,
    checkpoint: signCheckpoint({ size, root: rootOf(hashes) }, LOG),
  };
}

test('whoever signs two histories gets one of them cosigned and never the other', () => {
  const forks = fc
    .record({ older: fc.integer({ min: 1, max: 60 }), more: fc.nat(60), shared: fc.nat() })
    .map(({ older, more, shared }) => ({ older, size: older + more, shared: shared % older }));
  fc.assert(
    fc.property(forks, ({ older, size, shared }) => {
      const outcome = verdict(() =>
        planCosign(otherRequest(older, size, shared), watching(headOf(older))),
      );
      expect(outcome).toBe(older === size ? 'HEAD_FORKED' : 'CONSISTENCY_INVALID');
      // Up to its own fork it is the same log.
      const same = otherRequest(older, size, older);
      expect(planCosign(same, watching(headOf(older))).to).toEqual(
        parseCheckpoint(parseNote(same.checkpoint).text).head,
      );
    }),
    { numRuns: 30 },
  );
});

test('a log that fell back behind its witness is told how far the witness is', () => {
  for (const [olderSize, size] of [
    [0, 5],
    [4, 5],
    [4, 300],
    [0, 300],
  ] as const) {
    let refused: unknown;
    try {
      planCosign(requestOf(olderSize, size), watching(headOf(10)));
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(ZosError);
    expect(refused).toMatchObject({ code: 'HEAD_STALE', facts: { sizeSeen: 10 } });
  }
});

const stranger = signerOf(LOG.name, 99);
const REFUSED: readonly (readonly [string, CosignRequest, string])[] = [
  [
    'another log',
    { ...requestOf(10, 20), checkpoint: signCheckpoint(headOf(20), signerOf('b.example', 1)) },
    'LOG_UNKNOWN',
  ],
  [
    'a stranger under the name of the log',
    { ...requestOf(10, 20), checkpoint: signCheckpoint(headOf(20), stranger) },
    'UNTRUSTED',
  ],
  [
    'a proof of other sizes',
    { ...requestOf(10, 20), proof: requestOf(9, 20).proof },
    'CONSISTENCY_INVALID',
  ],
  ['no proof', { ...requestOf(10, 20), proof: [] }, 'CONSISTENCY_INVALID'],
  [
    'a proof for the same head',
    { ...requestOf(10, 10), proof: [EMPTY_ROOT] },
    'CONSISTENCY_INVALID',
  ],
  ['an older size above the new one', { ...requestOf(0, 5), olderSize: 10 }, 'REQUEST_MALFORMED'],
  ['words for a checkpoint', { ...requestOf(10, 20), checkpoint: utf8('words') }, 'NOTE_MALFORMED'],
];

test.each(REFUSED)('%s is refused', (_, request, code) => {
  expect(verdict(() => planCosign(request, watching(headOf(10))))).toBe(code);
});

test('a first head comes without a proof', () => {
  const request = { ...requestOf(0, 5), proof: [EMPTY_ROOT] };
  expect(verdict(() => planCosign(request, watching()))).toBe('CONSISTENCY_INVALID');
});

test('a signature that does not hold beside a good one refuses the request', () => {
  const request = requestOf(0, 5);
  const note = parseNote(request.checkpoint);
  const [good] = note.signatures;
  const bad = { ...signText(note.text, stranger), id: good?.id ?? '' };
  const checkpoint = formatNote(note.text, [...note.signatures, bad]);
  const code = verdict(() => planCosign({ ...request, checkpoint }, watching()));
  expect(code).toBe('SIGNATURE_INVALID');
  expect(WITNESS_STATUS.SIGNATURE_INVALID).toBe(403);
});

/** The form of c2sp.org/tlog-witness: a size, hashes, an empty line, the checkpoint. */
test('a request is read as it was written', () => {
  for (const request of [requestOf(0, 5), requestOf(5, 300), requestOf(5, 5)]) {
    const body = formatCosignRequest(request);
    expect(parseCosignRequest(body)).toEqual(request);
    expect(Buffer.from(body).toString().split('\n')[0]).toBe(`old ${request.olderSize}`);
  }
});

const NO_REQUESTS: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['no empty line', 'old 0\n'],
  ['no older size', '\n\nwords'],
  ['a size with a zero before it', 'old 01\n\nwords'],
  ['a negative size', 'old -1\n\nwords'],
  ['a word for a size', 'old some\n\nwords'],
  ['another first word', 'new 1\n\nwords'],
  ['a hash that is none', 'old 1\nAAAA\n\nwords'],
  ['64 hashes', `old 1\n${`${'A'.repeat(43)}=\n`.repeat(64)}\nwords`],
];

test.each(NO_REQUESTS)('with %s it is no request', (_, body) => {
  expect(verdict(() => parseCosignRequest(utf8(body)))).toBe('REQUEST_MALFORMED');
});
