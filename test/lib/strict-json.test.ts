import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../../src/lib/errors.ts';
import { utf8 } from '../../src/lib/bytes.ts';
import { parseStrictJson } from '../../src/lib/strict-json.ts';

const LIMITS = { bytesMax: 10_000, depthMax: 8 };

function outcome(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, LIMITS);
  } catch (error) {
    return codeOf(error);
  }
}

test.each([
  ['{"a":1,"a":2}', 'JSON_DUPLICATE_KEY'],
  ['{"a":1,"\\u0061":2}', 'JSON_DUPLICATE_KEY'],
  ['[{"x":{"b":1,"c":{"b":1},"b":2}}]', 'JSON_DUPLICATE_KEY'],
  ['{"__proto__":1,"__proto__":2}', 'JSON_DUPLICATE_KEY'],
  ['{', 'JSON_SYNTAX'],
  ['{"a":1}x', 'JSON_SYNTAX'],
  ['{"a":01}', 'JSON_SYNTAX'],
  ['', 'JSON_SYNTAX'],
  ['[[[[[[[[[1]]]]]]]]]', 'JSON_TOO_DEEP'],
  [`"${'x'.repeat(10_000)}"`, 'JSON_TOO_LONG'],
])('%s is refused', (text, code) => {
  expect(outcome(utf8(text))).toBe(code);
});

test('bytes that are not UTF-8 are refused', () => {
  expect(outcome(new Uint8Array([0x22, 0xff, 0x22]))).toBe('JSON_NOT_UTF8');
});

test.each(['{"a":"{\\"a\\":1}","b":[{"a":1},{"a":2}]}', '"{[:,"', '[{"a":"a"},"a:"]'])(
  '%s is taken as JSON.parse takes it',
  (text) => {
    expect(outcome(utf8(text))).toEqual(JSON.parse(text));
  },
);

test('every value without repeated keys reads as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      fc.pre(text.length < LIMITS.bytesMax);
      expect(outcome(utf8(text))).toEqual(JSON.parse(text));
    }),
  );
});

test('bytes of any kind end in a value or a code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(outcome(bytes)).not.toBe('UNEXPECTED');
    }),
    { numRuns: 2000 },
  );
});
