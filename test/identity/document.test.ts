import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bundleOf, bundleSchema, type LinkDocument } from '../../src/identity/bundle.ts';
import { sealingKeyFor, verifyIdentity } from '../../src/identity/document.ts';
import { countersign, openEnvelope, signEnvelope } from '../../src/identity/envelope.ts';
import { changeIdentity, deviceOf, documentAt, rankIn } from '../../src/identity/operation.ts';
import { toBase64, utf8 } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { parseStrictJson } from '../../src/lib/strict-json.ts';
import { keysFrom, makeOwner, makeTeam } from '../support/identity/people.ts';
import { identityVectors } from '../support/identity/vectors.ts';

const [alice, bob, carol] = [makeOwner('alice'), makeOwner('bob'), makeOwner('carol')];
const phone = keysFrom('phone');

test('the vectors of identities are what they always were', async () => {
  const text = `${JSON.stringify(identityVectors(), null, 1)}\n`;
  await expect(text).toMatchFileSnapshot('../vectors/identity.json');
});

test.each(identityVectors())('$name', ({ bundle, expectedId, result, keys }) => {
  const read = bundleSchema.parse(
    parseStrictJson(utf8(JSON.stringify(bundle)), { bytesMax: 1e6, depthMax: 9 }),
  );
  if (keys === undefined) {
    expect(outcome(() => verifyIdentity(read, expectedId))).toBe(result);
    return;
  }
  const found = verifyIdentity(read, result);
  const now = found.members.length > 0 ? found.members.map(({ id }) => id) : found.keys.publicKeys;
  expect(now.map((key) => (typeof key === 'string' ? key : toBase64(key)))).toEqual(keys);
});

function outcome(work: () => unknown): string {
  try {
    work();
    return 'taken';
  } catch (error) {
    return codeOf(error);
  }
}

const CHANGES: readonly [string, Partial<LinkDocument>][] = [
  ['rename', { name: 'other' }],
  ['sign', { signingKeys: [toBase64(keysFrom('other').signing.publicKey)] }],
  ['seal', { sealingKeys: [toBase64(keysFrom('other').sealing.publicKey)] }],
  ['device', { deviceKeys: [deviceOf('phone', phone)] }],
  ['no device', { deviceKeys: [] }],
  ['name', { names: ['alice.example'] }],
];

test('whatever is changed in whatever order, the id stays and the newest document counts', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...CHANGES), { maxLength: 8 }), (changes) => {
      let chain = [...alice.chain];
      let wanted = documentAt(chain, 0);
      for (const [, change] of changes) {
        chain = changeIdentity(chain, change, alice.keys.rotation);
        wanted = { ...wanted, ...change };
      }
      const identity = verifyIdentity(bundleOf(chain), alice.id);
      expect(identity.chain.length).toBe(changes.length + 1);
      expect({ ...identity.newest, previous: null }).toEqual({ ...wanted, previous: null });
    }),
    { numRuns: 15 },
  );
});

test('no document can be left out, moved or exchanged without being noticed', () => {
  const chains = [alice, bob].map(({ chain, keys }) =>
    CHANGES.slice(0, 3).reduce<typeof chain>(
      (sum, [, change]) => changeIdentity(sum, change, keys.rotation),
      chain,
    ),
  );
  const all = chains.flat();
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...all), { minLength: 1, maxLength: 5 }), (picked) => {
      const isPrefix = chains.some((chain) =>
        picked.every((document, at) => chain[at] === document),
      );
      expect(outcome(() => verifyIdentity({ chain: picked }))).toBe(
        isPrefix ? 'taken' : 'IDENTITY_BROKEN',
      );
    }),
    { numRuns: 60 },
  );
});

test('a device signs until it is removed, and what it asked for is sealed to it', () => {
  const device = deviceOf('phone', phone);
  const added = changeIdentity(alice.chain, { deviceKeys: [device] }, alice.keys.rotation);
  const removed = changeIdentity(added, { deviceKeys: [] }, alice.keys.rotation);
  const asked = signEnvelope('question', {}, phone.signing);
  const [before, after] = [added, removed].map((chain) => verifyIdentity(bundleOf(chain)));
  if (before === undefined || after === undefined) throw new Error('two identities');
  expect(openEnvelope(asked, 'question', before.keys)).toBeDefined();
  expect(outcome(() => openEnvelope(asked, 'question', after.keys))).toBe('ENVELOPE_UNTRUSTED');
  expect(toBase64(sealingKeyFor(before, asked))).toBe(device.sealingKey);
  const byAlice = signEnvelope('question', {}, alice.keys.signing);
  expect(sealingKeyFor(before, byAlice)).toEqual(alice.keys.sealing.publicKey);
});

test('a team of two of three: each member counts once, whichever of their keys sign', () => {
  const device = deviceOf('phone', phone);
  const chain = changeIdentity(alice.chain, { deviceKeys: [device] }, alice.keys.rotation);
  const team = makeTeam('ops', [{ ...alice, chain }, bob, carol], 2);
  const { keys, id } = verifyIdentity(team.bundle);
  expect(id).toBe(team.id);
  const one = signEnvelope('offer', {}, alice.keys.signing, phone.signing);
  expect(() => openEnvelope(one, 'offer', keys)).toThrow('1 signing members of the 2');
  const two = countersign(one, 'offer', carol.keys.signing);
  expect(openEnvelope(two, 'offer', keys)).toBeDefined();
  const twice = countersign(two, 'offer', carol.keys.signing);
  expect(twice).toEqual(two);
  const rotations = [alice.keys.rotation, bob.keys.rotation, carol.keys.rotation];
  const byRotation = signEnvelope('offer', {}, ...rotations);
  expect(() => openEnvelope(byRotation, 'offer', keys)).toThrow('0 signing members');
});

test('what a member asks for a team is sealed to that member', () => {
  const team = verifyIdentity(makeTeam('ops', [alice, bob], 1).bundle);
  const asked = signEnvelope('question', {}, bob.keys.signing);
  expect(sealingKeyFor(team, asked)).toEqual(bob.keys.sealing.publicKey);
});

test('ranks are places in the newest document', () => {
  const identity = verifyIdentity(bundleOf(alice.chain));
  expect(rankIn(identity, alice.recovery.publicKey)).toBe(0);
  expect(rankIn(identity, alice.keys.rotation.publicKey)).toBe(1);
  expect(rankIn(identity, alice.keys.signing.publicKey)).toBeUndefined();
});

test('a bundle that is longer than allowed is refused before it is read', () => {
  const [document] = alice.chain;
  const fat = { ...document, payload: toBase64(new Uint8Array(9000)) } as typeof document;
  const chain = Array.from({ length: 100 }, () => fat).filter((it) => it !== undefined);
  expect(() => verifyIdentity({ chain })).toThrow('bytes at most');
  expect(() => verifyIdentity({ chain: chain.slice(0, 1) })).toThrow('8192 bytes at most');
});
