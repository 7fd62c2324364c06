import { expect, test } from 'vitest';
import { signIdentity, verifyIdentity } from '../../src/identity/document.ts';
import {
  openEnvelope,
  preAuthenticationEncoding,
  signEnvelope,
} from '../../src/identity/envelope.ts';
import { verifyFarm, verifyJoinToken } from '../../src/identity/farm.ts';
import { decodeSecretKeys, encodeSecretKeys, makeSecretKeys } from '../../src/identity/keys.ts';
import { openSealed, sealTo } from '../../src/identity/seal.ts';
import { textOf, utf8 } from '../../src/lib/bytes.ts';
import { makePerson, NOW_MS } from '../support/contracts.ts';

const [a, b, c] = [makeSecretKeys().signing, makeSecretKeys().signing, makeSecretKeys().signing];

test("DSSE's own example of the pre-authentication encoding", () => {
  const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', utf8('hello world'));
  expect(textOf(encoded)).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

test('a threshold counts different keys, not signatures', () => {
  const publicKeys = [a.publicKey, b.publicKey];
  const twice = signEnvelope('offer', { x: 1 }, a, a);
  expect(() => openEnvelope(twice, 'offer', { publicKeys, threshold: 2 })).toThrow('1 valid');
  const both = signEnvelope('offer', { x: 1 }, a, b);
  expect(textOf(openEnvelope(both, 'offer', { publicKeys, threshold: 2 }))).toBe('{"x":1}');
  const one = signEnvelope('offer', { x: 1 }, a, c);
  expect(() => openEnvelope(one, 'offer', { publicKeys, threshold: 2 })).toThrow('1 valid');
});

test('no keys, or a threshold of none, trusts nothing', () => {
  const envelope = signEnvelope('offer', {}, a);
  expect(() => openEnvelope(envelope, 'offer', { publicKeys: [], threshold: 1 })).toThrow(
    'valid signatures',
  );
  expect(() =>
    openEnvelope(envelope, 'offer', { publicKeys: [a.publicKey], threshold: 0 }),
  ).toThrow('valid signatures');
});

test('a signature for one kind does not count for another', () => {
  const envelope = signEnvelope('offer', {}, a);
  const moved = { ...envelope, payloadType: 'application/vnd.zos.contract.v1+json' };
  const trusted = { publicKeys: [a.publicKey], threshold: 1 };
  expect(() => openEnvelope(moved, 'contract', trusted)).toThrow('0 valid');
});

test('an identity is its own name: with another id expected it is refused', () => {
  const document = signIdentity('alice', makeSecretKeys());
  const { id } = verifyIdentity(document);
  expect(verifyIdentity(document, id).name).toBe('alice');
  expect(() => verifyIdentity(document, '00'.repeat(32))).toThrow('another identity');
});

test('keys come back from their file, and a damaged file says nothing of them', () => {
  const keys = makeSecretKeys();
  const text = encodeSecretKeys(keys);
  expect(decodeSecretKeys(text)).toEqual(keys);
  const seed = (JSON.parse(text) as { signingSeed: string }).signingSeed;
  try {
    decodeSecretKeys(text.replace('{', '{"x":1,'));
    expect.unreachable();
  } catch (error) {
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(seed);
  }
});

test('only the holder of the key opens what was sealed, and one changed byte closes it', () => {
  const { sealing } = makeSecretKeys();
  const sealed = sealTo(sealing.publicKey, utf8('secret'));
  expect(textOf(openSealed(sealing.secretKey, sealed))).toBe('secret');
  expect(() => openSealed(makeSecretKeys().sealing.secretKey, sealed)).toThrow('another key');
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Uint8Array.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 0x80;
    // The top bit of an X25519 public key is ignored by RFC 7748 section 5: the one that may
    // change.
    if (at !== 31) expect(() => openSealed(sealing.secretKey, changed)).toThrow('changed');
  }
  expect(() => openSealed(sealing.secretKey, new Uint8Array(3))).toThrow('changed');
});

test('a farm and its join token hold only for the farmer who signed them, here, and in time', () => {
  const farmer = makePerson('farmer');
  const rival = makePerson('rival');
  const identity = verifyIdentity(farmer.document);
  const farm = { grid: 'test', farmer: farmer.id, name: 'barn' };
  const envelope = signEnvelope('farm', farm, farmer.keys.signing);
  const { id } = verifyFarm(envelope, identity, 'test');
  expect(() => verifyFarm(envelope, verifyIdentity(rival.document), 'test')).toThrow('0 valid');
  expect(() => verifyFarm(envelope, identity, 'other')).toThrow('grid test');
  const token = {
    grid: 'test',
    farm: id,
    farmer: farmer.id,
    nonce: '00'.repeat(16),
    notAfterMs: NOW_MS,
    takeBlankDisks: true,
  };
  const signed = signEnvelope('join-token', token, farmer.keys.signing);
  const context = { farmer: identity, grid: 'test', nowMs: NOW_MS - 1 };
  expect(verifyJoinToken(signed, context).farm).toBe(id);
  expect(() => verifyJoinToken(signed, { ...context, nowMs: NOW_MS })).toThrow('past its end');
  const stolen = signEnvelope('join-token', token, rival.keys.signing);
  const byRival = { ...context, farmer: verifyIdentity(rival.document) };
  expect(() => verifyJoinToken(stolen, byRival)).toThrow('another farmer');
});
