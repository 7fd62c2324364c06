import fc from 'fast-check';
import { expect, test } from 'vitest';
import { textOf, toBase64, utf8 } from '../../src/lib/bytes.ts';
import {
  cosignCheckpoint,
  formatCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../src/record/checkpoint.ts';
import { formatSignature, parseNote } from '../../src/record/note.ts';
import { EMPTY_ROOT, leafHash } from '../../src/record/tree.ts';
import { bytesOf, LOG, recordVectors, verdict, WITNESSES } from '../support/record/signers.ts';

/** The example of c2sp.org/tlog-checkpoint. */
const SPEC_ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
const SPEC_TEXT = `example.com/behind-the-sofa\n20852163\n${SPEC_ROOT}\n`;

test('the example of the checkpoint specification is read, and written the same', () => {
  const { origin, head, extensions } = parseCheckpoint(SPEC_TEXT);
  expect(origin).toBe('example.com/behind-the-sofa');
  expect(head).toEqual({ size: 20_852_163, root: bytesOf(SPEC_ROOT) });
  expect(extensions).toEqual([]);
  expect(formatCheckpoint(origin, head)).toBe(SPEC_TEXT);
});

test('what we sign is the checkpoint and the cosignatures that others signed', () => {
  const { checkpoint, heads } = recordVectors();
  const head = heads.find(({ size }) => size === 1000);
  const ours = signCheckpoint({ size: 1000, root: bytesOf(head?.root) }, LOG);
  expect(checkpoint.startsWith(textOf(ours))).toBe(true);
  const { text, signatures } = parseNote(utf8(checkpoint));
  const lines = WITNESSES.map((witness, at) => {
    const timeSeconds = Buffer.from(signatures[at + 1]?.bytes ?? []).readUInt32BE(4);
    return formatSignature(cosignCheckpoint(text, witness, timeSeconds));
  });
  expect(`${textOf(ours)}${lines.join('')}`).toBe(checkpoint);
});

const heads = fc.record({
  origin: fc.stringMatching(/^[ -~]{1,80}$/),
  size: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  extensions: fc.array(fc.stringMatching(/^[ -~]{1,40}$/), { maxLength: 3 }),
});

test('a checkpoint is read as it was written, with lines of others after it', () => {
  fc.assert(
    fc.property(heads, ({ origin, size, root, extensions }) => {
      const text = formatCheckpoint(origin, { size, root });
      const longer = `${text}${extensions.map((line) => `${line}\n`).join('')}`;
      expect(parseCheckpoint(longer)).toEqual({ origin, head: { size, root }, extensions });
    }),
  );
});

const ROOT = toBase64(leafHash(utf8('a')));
const NO_CHECKPOINTS: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['two lines', `a\n1\n`],
  ['no origin', `\n1\n${ROOT}\n`],
  ['an origin of 256 bytes', `${'ü'.repeat(128)}\n1\n${ROOT}\n`],
  ['a leading zero', `a\n01\n${ROOT}\n`],
  ['a sign', `a\n+1\n${ROOT}\n`],
  ['a minus', `a\n-1\n${ROOT}\n`],
  ['a space', `a\n1 \n${ROOT}\n`],
  ['hexadecimal', `a\n0x1\n${ROOT}\n`],
  ['an exponent', `a\n1e3\n${ROOT}\n`],
  ['other digits', `a\n١\n${ROOT}\n`],
  ['2^53 entries', `a\n9007199254740992\n${ROOT}\n`],
  ['a root that is short', `a\n1\n${ROOT.slice(4)}\n`],
  ['a root with a space', `a\n1\n ${ROOT}\n`],
  ['a root with bits left over', `a\n1\n${'A'.repeat(42)}B=\n`],
  ['no end', `a\n1\n${ROOT}`],
  ['an empty line after it', `a\n1\n${ROOT}\n\n`],
  ['an empty line among others', `a\n1\n${ROOT}\nb\n\nc\n`],
  ['an empty tree with a root of something', `a\n0\n${ROOT}\n`],
];

test.each(NO_CHECKPOINTS)('with %s it is no checkpoint', (_, text) => {
  expect(verdict(() => parseCheckpoint(text))).toBe('CHECKPOINT_MALFORMED');
});

test('an empty log has a checkpoint, and nothing that is none is ever signed', () => {
  const text = formatCheckpoint(LOG.name, { size: 0, root: EMPTY_ROOT });
  expect(parseCheckpoint(text).head).toEqual({ size: 0, root: EMPTY_ROOT });
  const [witness = LOG] = WITNESSES;
  for (const bad of [
    () => formatCheckpoint('', { size: 1, root: EMPTY_ROOT }),
    () => formatCheckpoint('a\nb', { size: 1, root: EMPTY_ROOT }),
    () => formatCheckpoint('a', { size: 1.5, root: EMPTY_ROOT }),
    () => formatCheckpoint('a', { size: -1, root: EMPTY_ROOT }),
    () => formatCheckpoint('a', { size: 1, root: new Uint8Array(31) }),
    () => signCheckpoint({ size: Number.NaN, root: EMPTY_ROOT }, LOG),
    () => cosignCheckpoint('words\n', witness, 1),
  ]) {
    expect(verdict(bad)).toBe('CHECKPOINT_MALFORMED');
  }
});
