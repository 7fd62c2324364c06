import fc from 'fast-check';
import { expect, test } from 'vitest';
import { textOf, toHex, utf8 } from '../../src/lib/bytes.ts';
import {
  formatNote,
  formatNoteKey,
  NOTE_BYTES_MAX,
  noteKeyOf,
  parseNote,
  parseNoteKey,
  signText,
  verifyNote,
} from '../../src/record/note.ts';
import { flippedBits } from '../support/record/plain-tree.ts';
import {
  LOG,
  recordVectors,
  signerOf,
  verdict,
  vkeyOf,
  WITNESSES,
} from '../support/record/signers.ts';

/** The example of c2sp.org/signed-note, "Verifier keys". */
const SPEC_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const SPEC_NOTE =
  'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON' +
  'ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';

/** The example at the head of c2sp.org/signed-note: an empty line in the text. */
const POEM =
  'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
  '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouF' +
  'SQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';

test('the example of the signed-note specification holds under its verifier key', () => {
  const key = parseNoteKey(SPEC_KEY);
  expect(key).toMatchObject({ name: 'example.com/foo', id: '530d903a', type: 'ed25519' });
  expect(formatNoteKey(key)).toBe(SPEC_KEY);
  const note = parseNote(utf8(SPEC_NOTE));
  expect(note.text).toBe('This is an example message.\n');
  expect(verifyNote(note, [key])).toEqual([{ key, timeSeconds: undefined }]);
  expect(textOf(formatNote(note.text, note.signatures))).toBe(SPEC_NOTE);
});

test('a text may hold empty lines: the last one parts it from its signatures', () => {
  const note = parseNote(utf8(POEM));
  expect(note.text.endsWith(':\n\ned è subito sera.\n')).toBe(true);
  expect(note.signatures).toHaveLength(1);
  const [signature] = note.signatures;
  expect(signature).toMatchObject({ name: 'quasimodo.example/salvatore', id: '367ba04b' });
  expect(signature?.bytes).toHaveLength(64);
  expect(textOf(formatNote(note.text, note.signatures))).toBe(POEM);
});

test('keys, signatures and cosignatures are those of software that others wrote', () => {
  const { logKey, witnessKeys, checkpoint } = recordVectors();
  expect(vkeyOf(LOG, 'ed25519')).toBe(logKey);
  expect(WITNESSES.map((each) => vkeyOf(each, 'cosignature-v1'))).toEqual(witnessKeys);
  const note = parseNote(utf8(checkpoint));
  const keys = [logKey, ...witnessKeys].map((vkey) => parseNoteKey(vkey));
  const signed = verifyNote(note, keys);
  expect(signed.map(({ key }) => key)).toEqual(keys);
  // Ed25519 has one signature for one message: what we sign is theirs to the byte.
  const ours = [LOG, ...WITNESSES].map((signer, at) =>
    signText(note.text, signer, signed[at]?.timeSeconds),
  );
  expect(textOf(formatNote(note.text, ours))).toBe(checkpoint);
});

const log = noteKeyOf(LOG.name, 'ed25519', LOG.publicKey);
const witnesses = WITNESSES.map(({ name, publicKey }) =>
  noteKeyOf(name, 'cosignature-v1', publicKey),
);
const TEXT = 'three\nlines\nof text\n';
const NOW_SECONDS = 1_795_272_000;

test('a cosignature covers its time, and counts for no other kind of key', () => {
  const [witness = LOG] = WITNESSES;
  const signature = signText(TEXT, witness, NOW_SECONDS);
  const note = parseNote(formatNote(TEXT, [signature]));
  expect(verifyNote(note, witnesses)).toEqual([{ key: witnesses[0], timeSeconds: NOW_SECONDS }]);
  const bytes = signature.bytes.slice();
  bytes[7] = (bytes[7] ?? 0) ^ 1;
  const later = { ...note, signatures: [{ ...signature, bytes }] };
  expect(verdict(() => verifyNote(later, witnesses))).toBe('SIGNATURE_INVALID');
  const plain = noteKeyOf(witness.name, 'ed25519', witness.publicKey);
  expect(verdict(() => verifyNote(note, [plain]))).toBe('UNTRUSTED');
  // Even told that it is of the other kind, it does not hold.
  const relabelled = { ...note, signatures: [{ ...signature, id: plain.id }] };
  expect(verdict(() => verifyNote(relabelled, [plain]))).toBe('SIGNATURE_INVALID');
  const short = { ...note, signatures: [{ ...signature, bytes: new Uint8Array(7) }] };
  expect(verdict(() => verifyNote(short, witnesses))).toBe('SIGNATURE_INVALID');
  const endless = { ...note, signatures: [{ ...signature, bytes: new Uint8Array(72).fill(255) }] };
  expect(verdict(() => verifyNote(endless, witnesses))).toBe('SIGNATURE_INVALID');
});

test('unknown keys are passed over, one bad signature of a known key refuses the note', () => {
  const stranger = signerOf(LOG.name, 99);
  const [good, other] = [signText(TEXT, LOG), signText(TEXT, stranger)];
  const both = parseNote(formatNote(TEXT, [other, good]));
  expect(verifyNote(both, [log])).toHaveLength(1);
  const unknown = parseNote(formatNote(TEXT, [other]));
  expect(verdict(() => verifyNote(unknown, [log]))).toBe('UNTRUSTED');
  expect(verdict(() => verifyNote(both, []))).toBe('UNTRUSTED');
  // The stranger's bytes under the known key's id, beside the good one.
  const forged = { ...both, signatures: [good, { ...other, id: good.id }] };
  expect(verdict(() => verifyNote(forged, [log]))).toBe('SIGNATURE_INVALID');
});

test('a key that signed twice counts once, with its newest time', () => {
  const [witness = LOG] = WITNESSES;
  const times = [NOW_SECONDS, NOW_SECONDS + 5, NOW_SECONDS - 5];
  const signatures = times.map((time) => signText(TEXT, witness, time));
  const note = parseNote(
    formatNote(TEXT, [...signatures, signText(TEXT, LOG), signText(TEXT, LOG)]),
  );
  expect(verifyNote(note, [...witnesses, log])).toEqual([
    { key: witnesses[0], timeSeconds: NOW_SECONDS + 5 },
    { key: log, timeSeconds: undefined },
  ]);
});

const signature = textOf(formatNote(TEXT, [signText(TEXT, LOG)])).slice(TEXT.length + 1);
const NO_NOTES: readonly (readonly [string, string | Uint8Array])[] = [
  ['nothing', ''],
  ['no signature', `${TEXT}\n`],
  ['no empty line', `${TEXT}${signature}`],
  ['no text', `\n${signature}`],
  ['no end', `${TEXT}\n${signature}`.slice(0, -1)],
  ['a line after the signatures', `${TEXT}\n${signature}more\n`],
  ['a hyphen for the dash', `${TEXT}\n${signature.replace('—', '-')}`],
  ['a tab', `\t${TEXT}\n${signature}`],
  ['a carriage return', `${TEXT}\n${signature}`.replaceAll('\n', '\r\n')],
  ['a null', `\0${TEXT}\n${signature}`],
  ['no UTF-8 in the text', Uint8Array.of(0xff, ...utf8(`${TEXT}\n${signature}`))],
  ['no UTF-8 in a name', Uint8Array.of(...utf8(`${TEXT}\n— `), 0xff, ...utf8(' AAAAAAA=\n'))],
  ['a plus in a name', `${TEXT}\n— a+b AAAAAAA=\n`],
  ['a wide space in a name', `${TEXT}\n— a\u3000b AAAAAAA=\n`],
  ['an empty name', `${TEXT}\n—  AAAAAAA=\n`],
  ['two spaces', `${TEXT}\n— a  AAAAAAA=\n`],
  ['no base64', `${TEXT}\n— a AAAA*AA=\n`],
  ['base64 with bits left over', `${TEXT}\n— a AAAAAAB=\n`],
  ['base64 without its padding', `${TEXT}\n— a AAAAAAA\n`],
  ['only a key id', `${TEXT}\n— a AAAAAA==\n`],
  ['101 signatures', `${TEXT}\n${signature.repeat(101)}`],
];

test.each(NO_NOTES)('%s is no note', (_, note) => {
  const bytes = typeof note === 'string' ? utf8(note) : note;
  expect(verdict(() => parseNote(bytes))).toBe('NOTE_MALFORMED');
});

test('a note is bounded, and 16 signatures as large as any fit in it', () => {
  const long = utf8(`${'x'.repeat(NOTE_BYTES_MAX)}\n\n${signature}`);
  expect(verdict(() => parseNote(long))).toBe('NOTE_TOO_LONG');
  const large = { name: 'future.example', id: '00000000', bytes: new Uint8Array(5000) };
  const signatures = Array.from({ length: 16 }, () => large);
  const note = parseNote(formatNote(TEXT, [...signatures, signText(TEXT, LOG)]));
  expect(verifyNote(note, [log])).toHaveLength(1);
});

test('no bit of a note can be turned without its being refused', () => {
  const bytes = formatNote(TEXT, [signText(TEXT, LOG)]);
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const [changed = bytes] = flippedBits([bytes], bit)[0] ?? [];
      const codes = ['NOTE_MALFORMED', 'SIGNATURE_INVALID', 'UNTRUSTED'];
      expect(codes).toContain(verdict(() => verifyNote(parseNote(changed), [log])));
    }),
    { numRuns: 300 },
  );
});

test('what nobody could read back is never written', () => {
  for (const text of ['', 'no end', 'tab\there\n', '\u{d800}\n']) {
    expect(
      verdict(() => formatNote(text, [signText(text, LOG)])),
      `“${text}”`,
    ).toBe('NOTE_MALFORMED');
  }
  expect(verdict(() => formatNote(TEXT, []))).toBe('NOTE_MALFORMED');
});

const NO_KEYS = [
  '',
  'example.com/foo',
  SPEC_KEY.slice(0, -1),
  SPEC_KEY.replace('530d903a', '530d903b'),
  SPEC_KEY.replace('530d903a', '530D903A'),
  SPEC_KEY.replace('example.com/foo', 'example.com/fop'),
  SPEC_KEY.replace('example.com/foo', 'example.com foo'),
  SPEC_KEY.replace('+Aeky', '+Beky'),
  ` ${SPEC_KEY}`,
  `${SPEC_KEY}\n`,
  `${SPEC_KEY}+`,
];

test.each(NO_KEYS)('%j is no verifier key', (text) => {
  expect(verdict(() => parseNoteKey(text))).toBe('KEY_MALFORMED');
});

test('one key under one name has another id for each kind of signature', () => {
  const ids = [log.id, noteKeyOf(LOG.name, 'cosignature-v1', LOG.publicKey).id];
  expect(new Set(ids).size).toBe(2);
  expect(verdict(() => noteKeyOf('', 'ed25519', LOG.publicKey))).toBe('KEY_MALFORMED');
  expect(verdict(() => noteKeyOf('a', 'ed25519', new Uint8Array(31)))).toBe('KEY_MALFORMED');
  expect(toHex(LOG.publicKey)).toHaveLength(64);
});
