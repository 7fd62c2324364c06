import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Hex, textOf, utf8 } from '../../src/lib/bytes.ts';
import {
  ENTRY_LENGTH_BYTES_MAX,
  entryOf,
  formatEntry,
  leafHashOf,
  parseEntry,
} from '../../src/record/entry.ts';
import { leafHash } from '../../src/record/tree.ts';
import { verdict } from '../support/record/signers.ts';

const TYPE = 'application/vnd.zos.contract.v1+json';
const PAYLOAD = utf8('{"a":1}');
const DIGEST = '015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862';
const NODE = sha256Hex(utf8('a node'));

test('an entry is one line that anybody can write with sha256sum', () => {
  expect(textOf(formatEntry(entryOf(TYPE, PAYLOAD)))).toBe(`${TYPE} ${DIGEST}\n`);
  const addressed = formatEntry(entryOf(TYPE, PAYLOAD, { node: NODE, seq: 7 }));
  expect(textOf(addressed)).toBe(`${TYPE} ${DIGEST} ${NODE} 7\n`);
});

test('an entry is read back as it was written, and its leaf is the hash of its line', () => {
  const entries = fc.record({
    payloadType: fc.stringMatching(/^[!-~]{1,100}$/),
    digest: fc.stringMatching(/^[0-9a-f]{64}$/),
    to: fc.record({
      node: fc.stringMatching(/^[0-9a-f]{64}$/),
      seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    }),
  });
  fc.assert(
    fc.property(entries, fc.boolean(), ({ to, ...rest }, isAddressed) => {
      const entry = isAddressed ? { ...rest, to } : rest;
      const bytes = formatEntry(entry);
      expect(parseEntry(bytes)).toEqual(entry);
      expect(bytes.length).toBeLessThanOrEqual(ENTRY_LENGTH_BYTES_MAX);
      expect(leafHashOf(entry)).toEqual(leafHash(bytes));
    }),
  );
});

test.each([
  ['nothing', ''],
  ['no end', `${TYPE} ${DIGEST}`],
  ['two ends', `${TYPE} ${DIGEST}\n\n`],
  ['two lines', `${TYPE} ${DIGEST}\n${TYPE} ${DIGEST}\n`],
  ['no type', `${DIGEST}\n`],
  ['a type with a space', `appli cation ${DIGEST}\n`],
  ['a type that is too long', `${'a'.repeat(101)} ${DIGEST}\n`],
  ['a digest in capitals', `${TYPE} ${DIGEST.toUpperCase()}\n`],
  ['a digest that is too short', `${TYPE} ${DIGEST.slice(1)}\n`],
  ['a node without its number', `${TYPE} ${DIGEST} ${NODE}\n`],
  ['number zero', `${TYPE} ${DIGEST} ${NODE} 0\n`],
  ['a number with a leading zero', `${TYPE} ${DIGEST} ${NODE} 07\n`],
  ['a number that is not exact', `${TYPE} ${DIGEST} ${NODE} 9007199254740993\n`],
  ['a negative number', `${TYPE} ${DIGEST} ${NODE} -1\n`],
  ['something after it', `${TYPE} ${DIGEST} ${NODE} 7 \n`],
  ['two spaces', `${TYPE}  ${DIGEST}\n`],
  ['a return', `${TYPE} ${DIGEST}\r\n`],
])('an entry with %s is refused', (_what, text) => {
  expect(verdict(() => parseEntry(utf8(text)))).toBe('ENTRY_MALFORMED');
});

test('bytes that are no text, or too many, are no entry, and none is written that is not read', () => {
  expect(verdict(() => parseEntry(Uint8Array.of(0xff, 0x0a)))).toBe('ENTRY_MALFORMED');
  const long = utf8(`${'a'.repeat(ENTRY_LENGTH_BYTES_MAX)} ${DIGEST}\n`);
  expect(verdict(() => parseEntry(long))).toBe('ENTRY_MALFORMED');
  const forged = { payloadType: `${TYPE} ${DIGEST}\n${TYPE}`, digest: DIGEST };
  expect(verdict(() => formatEntry(forged))).toBe('ENTRY_MALFORMED');
});
