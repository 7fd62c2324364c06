import { expect, test } from 'vitest';
import { verifyIdentity } from '../../src/identity/document.ts';
import { signEnvelope } from '../../src/identity/envelope.ts';
import { SEAL_OVERHEAD_BYTES, sealTo } from '../../src/identity/seal.ts';
import { concatBytes, utf8 } from '../../src/lib/bytes.ts';
import {
  LETTER_BYTES,
  MESSAGE_AGE_MS_MAX,
  openMessage,
  sealMessage,
} from '../../src/phonebook/message.ts';
import type { Message } from '../../src/phonebook/spec.ts';
import { GRID, makePerson, NOW_MS, type Person } from '../support/contracts.ts';

const [alice, bob, eve] = [makePerson('alice'), makePerson('bob'), makePerson('eve')];

function messageOf(changes: Partial<Message> = {}): Message {
  const base = { grid: GRID, from: alice.id, to: bob.id, nonce: '0'.repeat(32), atMs: NOW_MS };
  return { ...base, text: 'hello', ...changes };
}

function seal(changes: Partial<Message> = {}, to: Person = bob): Uint8Array {
  const recipient = verifyIdentity(to.document);
  const { document: sender, keys } = alice;
  return sealMessage({ message: messageOf(changes), signer: keys.signing, sender, recipient });
}

function open(sealed: Uint8Array, reader: Person = bob, nowMs = NOW_MS) {
  const sealingSecret = reader.keys.sealing.secretKey;
  return openMessage(sealed, { grid: GRID, id: reader.id, sealingSecret, nowMs });
}

const code = (text: string) => expect.objectContaining({ code: text });

/** Seals whatever stands here as a letter is sealed, so that only what is inside is wrong. */
function sealedLetter(letter: unknown, padding = 0): Uint8Array {
  const plain = typeof letter === 'string' ? utf8(letter) : utf8(JSON.stringify(letter));
  const padded = new Uint8Array(2048).fill(padding);
  padded.set(concatBytes(new Uint8Array([0, 0, plain.length >> 8, plain.length & 255]), plain));
  return sealTo(bob.keys.sealing.publicKey, padded);
}

test('a message says to its reader who wrote it, and nothing to anybody else', () => {
  const sealed = seal({ text: 'hällo\u0000 wörld' });
  expect(open(sealed)).toMatchObject({ from: alice.id, text: 'hällo\u0000 wörld' });
  expect(() => open(sealed, eve)).toThrow(code('SEAL_BROKEN'));
  const changed = sealed.with(200, (sealed[200] ?? 0) ^ 1);
  expect(() => open(changed)).toThrow(code('SEAL_BROKEN'));
});

test('the same message is known again, however often it is sealed', () => {
  const [one, other] = [seal(), seal()];
  expect(one).not.toEqual(other);
  expect(open(one).digest).toBe(open(other).digest);
});

test('letters come in four lengths, and nothing between them shows', () => {
  const lengths = (...texts: number[]) =>
    texts.map((length) => seal({ text: 'a'.repeat(length) }).length - SEAL_OVERHEAD_BYTES);
  expect(lengths(0, 1, 100)).toEqual([2048, 2048, 2048]);
  expect(lengths(2000, 4000, 20_000, 60_000)).toEqual([8192, 8192, 32_768, 131_072]);
  expect(LETTER_BYTES).toEqual([2048, 8192, 32_768, 131_072]);
  expect(() => seal({ text: '\u0001'.repeat(30_000) })).toThrow(code('MESSAGE_TOO_LONG'));
});

test('what was written to another, in another grid, or by another is refused', () => {
  // Eve opens her letter and seals it to Bob: what Alice signed names Eve.
  expect(() => open(seal({ to: eve.id }))).toThrow(code('MESSAGE_FOREIGN'));
  expect(() => open(seal({ grid: 'else' }))).toThrow(code('MESSAGE_FOREIGN'));
  expect(() => open(seal({ from: eve.id }))).toThrow(code('MESSAGE_FOREIGN'));
  const message = signEnvelope('message', messageOf(), eve.keys.signing);
  const forged = sealedLetter({ message, sender: alice.document });
  expect(() => open(forged)).toThrow(code('ENVELOPE_UNTRUSTED'));
});

test('an old message, or one of a clock far ahead, is refused', () => {
  const sealed = seal();
  expect(open(sealed, bob, NOW_MS + MESSAGE_AGE_MS_MAX).text).toBe('hello');
  expect(() => open(sealed, bob, NOW_MS + MESSAGE_AGE_MS_MAX + 1)).toThrow(code('MESSAGE_STALE'));
  expect(() => open(sealed, bob, NOW_MS - 2 * 3_600_000)).toThrow(code('MESSAGE_STALE'));
});

test('what is no letter inside its seal is refused', () => {
  const message = signEnvelope('message', messageOf(), alice.keys.signing);
  const letter = { message, sender: alice.document };
  expect(open(sealedLetter(letter)).text).toBe('hello');
  expect(() => open(sealedLetter(letter, 1))).toThrow(code('MESSAGE_MALFORMED'));
  expect(() => open(sealedLetter({ ...letter, more: 1 }))).toThrow(code('MESSAGE_MALFORMED'));
  expect(() => open(sealedLetter('nothing'))).toThrow(code('JSON_SYNTAX'));
  const endless = sealTo(bob.keys.sealing.publicKey, new Uint8Array(2048).fill(255));
  expect(() => open(endless)).toThrow(code('MESSAGE_MALFORMED'));
  const short = sealTo(bob.keys.sealing.publicKey, new Uint8Array(2));
  expect(() => open(short)).toThrow(code('MESSAGE_SIZE'));
});
