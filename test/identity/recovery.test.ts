import { expect, test } from 'vitest';
import { makeRecoveryWords, recoveryKeys } from '../../src/identity/recovery.ts';
import { toHex } from '../../src/lib/bytes.ts';
import { codeOf, sentenceOf } from '../../src/lib/errors.ts';

/** BIP 39's own vector for 32 bytes of zeros. */
const ZEROS = `${'abandon '.repeat(23)}art`;

test('24 words stand for one key, however they are spaced and capitalised', () => {
  const words = makeRecoveryWords();
  expect(words.split(' ')).toHaveLength(24);
  const typed = ` ${words.toUpperCase().replaceAll(' ', '\n\t')} \n`;
  expect(recoveryKeys(typed)).toEqual(recoveryKeys(words));
  expect(makeRecoveryWords()).not.toBe(words);
});

test('the key of known words stays what it is', () => {
  expect(toHex(recoveryKeys(ZEROS).publicKey)).toBe(
    '9ec39a84fe8bdf30a1491f8add8c6eaab42a70f69093f1c9664981884adb5834',
  );
});

test.each([
  ['too few', 'abandon '.repeat(12)],
  ['a word that is none', ZEROS.replace('art', 'arts')],
  ['a wrong check', ZEROS.replace('art', 'zoo')],
  ['nothing', ''],
  ['far too many', 'abandon '.repeat(10_000)],
])('%s: refused without a word of them', (_name, words) => {
  const refusal = (): unknown => {
    try {
      return recoveryKeys(words);
    } catch (error) {
      return error;
    }
  };
  expect(codeOf(refusal())).toBe('WORDS_WRONG');
  expect(sentenceOf(refusal())).not.toMatch(/abandon|arts|zoo/u);
});
