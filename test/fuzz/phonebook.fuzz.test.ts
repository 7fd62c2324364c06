import { expect, test } from 'vitest';
import { openSealed } from '../../src/identity/seal.ts';
import { verifyIdentity } from '../../src/identity/document.ts';
import { readLetter, sealMessage } from '../../src/phonebook/message.ts';
import { GRID, makePerson, NOW_MS } from '../support/contracts.ts';
import { fuzz } from '../support/fuzz.ts';
import { SHARES } from './shares.ts';

const [alice, bob] = [makePerson('alice'), makePerson('bob')];

function letterOf(text: string): Uint8Array {
  const message = { grid: GRID, from: alice.id, to: bob.id, nonce: '0'.repeat(32), atMs: NOW_MS };
  const sealed = sealMessage({
    message: { ...message, text },
    signer: alice.keys.signing,
    sender: alice.document,
    recipient: verifyIdentity(bob.document),
  });
  return openSealed(bob.keys.sealing.secretKey, sealed);
}

test('what strangers seal to somebody', async () => {
  const accepted = await fuzz({
    name: 'a letter',
    cases: SHARES.letter,
    seeds: [letterOf(''), letterOf('hello'), letterOf('"\\\u0000')],
    parse: (bytes) => readLetter(bytes, { grid: GRID, id: bob.id, nowMs: NOW_MS }),
  });
  expect(accepted).toBeGreaterThan(0);
});
