import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import nacl from 'tweetnacl';
import { fromHex } from '../../src/lib/bytes.ts';
import { type Engine, isValidSignature, signMessage } from '../../src/identity/ed25519.ts';

type VectorFile = {
  testGroups: {
    publicKey: { pk: string };
    tests: { tcId: number; msg: string; sig: string; result: 'valid' | 'invalid' }[];
  }[];
};

const file = new URL('../vectors/wycheproof-ed25519.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as VectorFile;
const engines: Engine[] = ['node', 'tweetnacl'];

function bytes(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}

test.each(engines)('every Wycheproof vector is judged right by %s', (engine) => {
  let counted = 0;
  for (const group of vectors.testGroups) {
    for (const vector of group.tests) {
      const claim = {
        publicKey: bytes(group.publicKey.pk),
        message: bytes(vector.msg),
        signature: bytes(vector.sig),
      };
      expect(isValidSignature(claim, engine), `tcId ${vector.tcId}`).toBe(
        vector.result === 'valid',
      );
      counted += 1;
    }
  }
  expect(counted).toBeGreaterThan(100);
});

const L = 2n ** 252n + 27742317777372353535851937790883648493n;

function withSPlusL(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32).toReversed()).toString('hex')}`) + L;
  const encoded = Buffer.from(s.toString(16).padStart(64, '0'), 'hex');
  return new Uint8Array(Buffer.concat([signature.subarray(0, 32), encoded.toReversed()]));
}

test.each(engines)('a malleated signature (S + L) is refused by %s', (engine) => {
  const { publicKey, secretKey } = nacl.sign.keyPair();
  const message = new Uint8Array([1, 2, 3]);
  const signature = signMessage(message, secretKey);
  expect(isValidSignature({ publicKey, message, signature }, engine)).toBe(true);
  const malleated = withSPlusL(signature);
  // The trap this check exists for: the library by itself takes the changed signature.
  expect(nacl.sign.detached.verify(message, malleated, publicKey)).toBe(true);
  expect(isValidSignature({ publicKey, message, signature: malleated }, engine)).toBe(false);
});

/** Each with a message for which tweetnacl alone takes `forgedSignature`. */
const SMALL_ORDER: readonly [string, number][] = [
  ['0000000000000000000000000000000000000000000000000000000000000000', 0],
  ['0100000000000000000000000000000000000000000000000000000000000000', 0],
  ['ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 0],
  ['0000000000000000000000000000000000000000000000000000000000000080', 0],
  ['c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 11],
  ['c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa', 4],
  ['26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 4],
  ['26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85', 39],
];

/**
 * With a key A of small order, R = sB and S = s hold for every message whose hash is a multiple of
 * A's order: no secret of A is needed, as there is none.
 */
function forgedSignature(): Uint8Array {
  const seed = new Uint8Array(32).fill(7);
  const scalar = createHash('sha512').update(seed).digest().subarray(0, 32);
  scalar[0] = (scalar[0] ?? 0) & 248;
  scalar[31] = ((scalar[31] ?? 0) & 127) | 64;
  const s = BigInt(`0x${Buffer.from(scalar.toReversed()).toString('hex')}`) % L;
  const encoded = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').toReversed();
  return new Uint8Array(Buffer.concat([nacl.sign.keyPair.fromSeed(seed).publicKey, encoded]));
}

test.each(SMALL_ORDER)('the small-order key %s signs nothing', (hex, message) => {
  const claim = {
    publicKey: bytes(hex),
    message: new Uint8Array([message]),
    signature: forgedSignature(),
  };
  expect(nacl.sign.detached.verify(claim.message, claim.signature, claim.publicKey)).toBe(true);
  for (const engine of engines) expect(isValidSignature(claim, engine)).toBe(false);
});

test('both engines sign with the same bytes, whatever the message', () => {
  for (const lengthBytes of [0, 1, 63, 64, 65, 1000]) {
    const { publicKey, secretKey } = nacl.sign.keyPair();
    const message = nacl.randomBytes(lengthBytes);
    const signature = signMessage(message, secretKey, 'node');
    expect(signature).toEqual(signMessage(message, secretKey, 'tweetnacl'));
    expect(isValidSignature({ publicKey, message, signature })).toBe(true);
  }
});

test('lengths that are wrong are refused and nothing throws', () => {
  for (const length of [0, 1, 31, 33, 64]) {
    const claim = {
      publicKey: new Uint8Array(length),
      message: new Uint8Array(),
      signature: new Uint8Array(length),
    };
    for (const engine of engines) expect(isValidSignature(claim, engine)).toBe(false);
  }
});
