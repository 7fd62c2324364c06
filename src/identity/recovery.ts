import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { createHash } from 'node:crypto';
import nacl from 'tweetnacl';
import { utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class RecoveryError extends ZosError<'WORDS_WRONG'> {}

const ENTROPY_BYTES = 32;
/** So that the words, used for something else too, never give the same key there. */
const PURPOSE = 'zos recovery key 1';
const WORDS_CHARACTERS_MAX = 1000;

/** 24 new words (BIP 39): 256 bits of chance and a check, to be written on paper. */
export function makeRecoveryWords(): string {
  return entropyToMnemonic(nacl.randomBytes(ENTROPY_BYTES), wordlist);
}

/**
 * The key that 24 words stand for: its seed is SHA-256 over a purpose and the words' 32 bytes,
 * which need no stretching. Throws `RecoveryError` without a word of what was given.
 */
export function recoveryKeys(words: string): nacl.SignKeyPair {
  const seed = createHash('sha256').update(utf8(PURPOSE)).update(entropyOf(words)).digest();
  return nacl.sign.keyPair.fromSeed(new Uint8Array(seed));
}

function entropyOf(words: string): Uint8Array {
  const given = words.slice(0, WORDS_CHARACTERS_MAX).toLowerCase().split(/\s+/u).filter(Boolean);
  const unknown = given.findIndex((word) => !wordlist.includes(word));
  let problem = 'Their check does not hold: a word is wrong, or out of its place';
  if (given.length !== 24) problem = `There are ${given.length} words, and 24 are needed`;
  else if (unknown >= 0) problem = `Word ${unknown + 1} is not in the list of BIP 39`;
  else {
    try {
      return mnemonicToEntropy(given.join(' '), wordlist);
    } catch {
      // The cause is dropped on purpose: it may quote the words.
    }
  }
  throw new RecoveryError('WORDS_WRONG', `${problem}; read them again from where you wrote them.`);
}
