import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes, sha256Hex, textOf, toBase64, utf8 } from '../../src/lib/bytes.ts';
import { signCheckpoint } from '../../src/record/checkpoint.ts';
import {
  formatNote,
  formatSignature,
  type NoteSigner,
  parseNote,
  signText,
} from '../../src/record/note.ts';
import { parsePolicy, type Policy } from '../../src/record/policy.ts';
import { proveConsistency, proveInclusion } from '../../src/record/proof.ts';
import { EMPTY_EDGE, growEdge, headOf, tilePath } from '../../src/record/tile.ts';
import { formatTlogProof, parseTlogProof } from '../../src/record/tlog-proof.ts';
import { leafHash } from '../../src/record/tree.ts';
import { verifyCheckpoint, verifyGrowth, verifyTlogProof } from '../../src/record/verify.ts';
import { entries, flippedBits, leaves, plainReader, rootOf } from '../support/record/plain-tree.ts';
import {
  LOG,
  policyOf,
  recordVectors,
  signerOf,
  verdict,
  vkeyOf,
  WITNESSES,
} from '../support/record/signers.ts';

const vectors = recordVectors();
const theirPolicy = parsePolicy(utf8(vectors.policy));

test('the heads, tiles and proofs of 1,000 entries are those of software that others wrote', () => {
  const all = leaves(1000);
  for (const { size, root } of vectors.heads) {
    const { edge } = growEdge(EMPTY_EDGE, all.slice(0, size));
    expect(toBase64(headOf(edge).root), `${size} entries`).toBe(root);
  }
  const { tiles } = growEdge(EMPTY_EDGE, all);
  const written = tiles.map(({ tile, bytes }) => [tilePath(tile), sha256Hex(bytes)]);
  expect(Object.fromEntries(written)).toEqual(vectors.tileSha256);
  const read = plainReader(all);
  for (const { index, proof } of vectors.inclusion) {
    expect(proveInclusion(index, 1000, read).map((hash) => toBase64(hash))).toEqual(proof);
  }
  for (const { older, proof } of vectors.consistency) {
    expect(proveConsistency(older, 1000, read).map((hash) => toBase64(hash))).toEqual(proof);
  }
});

test('a proof file that others wrote is verified offline, and ours is the same to the byte', () => {
  for (const { index, tlogProof } of vectors.inclusion) {
    const bytes = utf8(tlogProof);
    const [entry = bytes] = entries(1, index);
    const recorded = verifyTlogProof(bytes, leafHash(entry), theirPolicy);
    expect(recorded.index).toBe(index);
    expect(recorded.checkpoint.origin).toBe(LOG.name);
    expect(recorded.checkpoint.head.size).toBe(1000);
    expect(recorded.checkpoint.cosigned).toHaveLength(3);
    const parts = parseTlogProof(bytes);
    expect(textOf(formatTlogProof(parts))).toBe(tlogProof);
    expect(parts.extra === undefined).toBe(index !== 767);
  }
});

const NOW_SECONDS = 1_795_272_000;

/** A checkpoint of so many entries, signed by the log and cosigned by these. */
function checkpointOf(size: number, ...cosigners: readonly NoteSigner[]): Uint8Array {
  const signed = signCheckpoint({ size, root: rootOf(leaves(size)) }, LOG);
  const { text } = parseNote(signed);
  const lines = cosigners.map((each) => formatSignature(signText(text, each, NOW_SECONDS)));
  return concatBytes(signed, utf8(lines.join('')));
}

function checkpointVerdict(bytes: Uint8Array, policy: Policy): string {
  return verdict(() => verifyCheckpoint(bytes, policy));
}

test('a checkpoint holds when its log and enough witnesses signed it, whoever else did', () => {
  const [one = LOG, two = LOG] = WITNESSES;
  const stranger = signerOf('stranger.example', 77);
  expect(checkpointVerdict(checkpointOf(5, one, two), policyOf(2))).toBe('holds');
  expect(checkpointVerdict(checkpointOf(5, stranger, one, two), policyOf(2))).toBe('holds');
  expect(checkpointVerdict(checkpointOf(5, one), policyOf(2))).toBe('QUORUM_MISSING');
  // One witness that signs twice is one witness.
  expect(checkpointVerdict(checkpointOf(5, one, one), policyOf(2))).toBe('QUORUM_MISSING');
  expect(checkpointVerdict(checkpointOf(5, stranger, one), policyOf(2))).toBe('QUORUM_MISSING');
  expect(checkpointVerdict(checkpointOf(5), policyOf(1))).toBe('QUORUM_MISSING');
});

test('witnesses without a log, and a log under the name of another, are not trusted', () => {
  const [one = LOG, two = LOG] = WITNESSES;
  const { text } = parseNote(checkpointOf(5));
  const cosignatures = [one, two].map((each) => signText(text, each, NOW_SECONDS));
  expect(checkpointVerdict(formatNote(text, cosignatures), policyOf(2))).toBe('UNTRUSTED');
  const stranger = signerOf(LOG.name, 77);
  const foreign = formatNote(text, [signText(text, stranger), ...cosignatures]);
  expect(checkpointVerdict(foreign, policyOf(2))).toBe('UNTRUSTED');
  // A second log that the policy knows signs for the first: its name is not the origin.
  const second = signerOf('second.example/record', 5);
  const lines = [LOG, second].map((log) => `log ${vkeyOf(log, 'ed25519')}\n`).join('');
  const policy = parsePolicy(utf8(`${lines}quorum none\n`));
  expect(checkpointVerdict(formatNote(text, [signText(text, second)]), policy)).toBe('UNTRUSTED');
  expect(checkpointVerdict(formatNote(text, [signText(text, LOG)]), policy)).toBe('holds');
  // A witness under the log's own name is a witness, and no log.
  const namesake = signerOf(LOG.name, 6);
  const vkeys = [vkeyOf(LOG, 'ed25519'), vkeyOf(namesake, 'cosignature-v1')];
  const named = parsePolicy(utf8(`log ${vkeys[0]}\nwitness w ${vkeys[1]}\nquorum w\n`));
  const alone = formatNote(text, [signText(text, namesake, NOW_SECONDS)]);
  expect(checkpointVerdict(alone, named)).toBe('UNTRUSTED');
  // A policy that knows no log takes no checkpoint, whatever its quorum.
  const none = parsePolicy(utf8('quorum none\n'));
  expect(checkpointVerdict(formatNote(text, [signText(text, LOG)]), none)).toBe('UNTRUSTED');
});

test('what a log signed that is no checkpoint is refused', () => {
  const text = `${LOG.name}\nmany\nentries\n`;
  const bytes = formatNote(text, [signText(text, LOG)]);
  expect(checkpointVerdict(bytes, policyOf(1))).toBe('CHECKPOINT_MALFORMED');
});

const SIZE = 300;
const [one = LOG, two = LOG] = WITNESSES;
const CHECKPOINT = checkpointOf(SIZE, one, two);

function proofOf(index: number, checkpoint = CHECKPOINT): Uint8Array {
  const hashes = proveInclusion(index, SIZE, plainReader(leaves(SIZE)));
  return formatTlogProof({ index, hashes, checkpoint });
}

function proofVerdict(bytes: Uint8Array, index: number): string {
  const [leaf = bytes] = leaves(1, index);
  return verdict(() => verifyTlogProof(bytes, leaf, policyOf(2)));
}

test('an entry is recorded at its index and nowhere else, and no bit of its proof may turn', () => {
  const refused = [
    'PROOF_MALFORMED',
    'NOTE_MALFORMED',
    'SIGNATURE_INVALID',
    'UNTRUSTED',
    'QUORUM_MISSING',
    'INCLUSION_INVALID',
  ];
  fc.assert(
    fc.property(fc.nat(SIZE - 1), fc.nat(), (index, bit) => {
      const bytes = proofOf(index);
      expect(proofVerdict(bytes, index)).toBe('holds');
      expect(proofVerdict(bytes, (index + 1) % SIZE)).toBe('INCLUSION_INVALID');
      const [changed = bytes] = flippedBits([bytes], bit % (bytes.length * 8))[0] ?? [];
      expect(refused).toContain(proofVerdict(changed, index));
    }),
    { numRuns: 60 },
  );
});

test('a proof with a checkpoint that too few saw proves nothing', () => {
  expect(proofVerdict(proofOf(7, checkpointOf(SIZE, one)), 7)).toBe('QUORUM_MISSING');
  expect(proofVerdict(proofOf(7, checkpointOf(SIZE + 1, one, two)), 7)).toBe('INCLUSION_INVALID');
});

const good = textOf(proofOf(7));
const NO_PROOFS: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['another first line', good.replace('@v1', '@v2')],
  ['no index', good.replace('index 7\n', '')],
  ['an index with a zero before it', good.replace('index 7', 'index 07')],
  ['a negative index', good.replace('index 7', 'index -1')],
  ['an index past all trees', good.replace('index 7', 'index 9007199254740992')],
  ['extra after the index', good.replace('index 7\n', 'index 7\nextra AAAA\n')],
  ['extra twice', good.replace('index 7\n', 'extra AAAA\nextra AAAA\nindex 7\n')],
  ['extra that is no base64', good.replace('index 7\n', 'extra A\nindex 7\n')],
  ['extra that is endless', good.replace('index', `extra ${'A'.repeat(70_000)}\nindex`)],
  ['a hash that is short', good.replace('index 7\n', 'index 7\nAAAA\n')],
  ['55 hashes', good.replace('\n\n', `\n${`${'A'.repeat(43)}=\n`.repeat(55)}\n`)],
  ['a line too many', good.replace('index 7\n', 'index 7\nwords\n')],
  ['carriage returns', good.replaceAll('\n', '\r\n')],
  ['endless bytes', `${good}${'x'.repeat(256 * 1024)}`],
];

test.each(NO_PROOFS)('with %s it is no proof', (_, text) => {
  expect(proofVerdict(utf8(text), 7)).toBe('PROOF_MALFORMED');
});

test('extra words travel with a proof and change nothing that is proven', () => {
  const { index, hashes, checkpoint } = parseTlogProof(utf8(good));
  for (const extra of [new Uint8Array(), utf8('words to the reader')]) {
    const bytes = formatTlogProof({ index, hashes, checkpoint, extra });
    expect(parseTlogProof(bytes).extra).toEqual(extra);
    expect(proofVerdict(bytes, 7)).toBe('holds');
  }
});

test('whoever saw a checkpoint takes only one that grew out of it', () => {
  const policy = policyOf(2);
  const seen = verifyCheckpoint(checkpointOf(200, one, two), policy);
  const newer = verifyCheckpoint(CHECKPOINT, policy);
  const proof = proveConsistency(200, SIZE, plainReader(leaves(SIZE)));
  expect(verdict(() => verifyGrowth(seen, newer, proof))).toBe('holds');
  expect(verdict(() => verifyGrowth(seen, seen, []))).toBe('holds');
  expect(verdict(() => verifyGrowth(seen, newer, []))).toBe('CONSISTENCY_INVALID');
  // Rolled back: a directory restored from an old backup, or one that takes something away.
  expect(verdict(() => verifyGrowth(newer, seen, []))).toBe('HEAD_STALE');
  // Forked: the same count of other entries, and a history that went another way before.
  const forked = { ...seen, head: { size: SIZE, root: rootOf(leaves(SIZE, 1)) } };
  expect(verdict(() => verifyGrowth(forked, newer, []))).toBe('HEAD_FORKED');
  const apart = { ...seen, head: { size: 200, root: rootOf(leaves(200, 1)) } };
  expect(verdict(() => verifyGrowth(apart, newer, proof))).toBe('CONSISTENCY_INVALID');
  const other = { ...seen, origin: 'other.example' };
  expect(verdict(() => verifyGrowth(other, newer, proof))).toBe('UNTRUSTED');
});
