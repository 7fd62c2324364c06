import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bindingOf,
  encodeBody,
  openSecret,
  opensWith,
  readBody,
  sealSecret,
  secretKey,
} from '../../src/contract/checks/body.ts';
import { contractDigest, signErasure } from '../../src/contract/sign.ts';
import { type CarriedContract, verifyContract, verifyErasure } from '../../src/contract/verify.ts';
import { makeSecretKeys } from '../../src/identity/keys.ts';
import { fromBase64, textOf, toBase64, utf8 } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import {
  carry,
  GRID,
  makeContract,
  makeKnowledge,
  makePerson,
  NODE_ID,
} from '../support/contracts.ts';
import type { Person } from '../support/contracts.ts';

const [tenant, thief, node] = [makePerson('tenant'), makePerson('thief'), makeSecretKeys()];
const PLACE = { grid: GRID, tenant: tenant.id, node: NODE_ID, container: 'web', name: 'db' };

function seal(value: string, over: Partial<typeof PLACE> = {}, recipient = node): string {
  return sealSecret({
    ...PLACE,
    ...over,
    recipientKey: recipient.sealing.publicKey,
    value: utf8(value),
    sealerSecret: tenant.keys.sealing.secretKey,
  });
}

function bodyOf(sealed: string, salt = '5a'.repeat(32)) {
  return encodeBody({ salt, secrets: { [secretKey(PLACE)]: sealed } });
}

/** A contract whose one container takes the secret `db` as a variable. */
function contractWith(whose: Person, body: string | null) {
  const plain = makeContract(whose);
  const workloads = plain.workloads.map((workload) =>
    workload.kind === 'container'
      ? { ...workload, secrets: [{ name: 'db', env: 'DB' }] }
      : workload,
  );
  return carry(whose, { ...plain, workloads, body });
}

function verdict(carried: CarriedContract): string {
  const opens = opensWith(node.sealing.secretKey);
  try {
    verifyContract(carried, () => makeKnowledge({ opens }), GRID);
    return 'verified';
  } catch (error) {
    return codeOf(error);
  }
}

const GOOD = bodyOf(seal('hunter2'));
const good = { ...contractWith(tenant, GOOD.digest), body: GOOD.text };

test('a secret that was sealed to the node for this container is taken, and opens there', () => {
  expect(verdict(good)).toBe('verified');
  const sealed = readBody(GOOD.text, GOOD.digest).secrets[secretKey(PLACE)] ?? '';
  const opened = openSecret(node.sealing.secretKey, { sealed, binding: bindingOf(PLACE) });
  expect(textOf(opened)).toBe('hunter2');
});

test.each([
  ['its private body was held back', { ...good, body: undefined }, 'BODY_MISSING'],
  ['another body', { ...good, body: bodyOf(seal('other')).text }, 'BODY_OTHER'],
  [
    'the same boxes under another salt',
    { ...good, body: bodyOf(seal('hunter2'), '00'.repeat(32)).text },
    'BODY_OTHER',
  ],
  [
    'a body that it does not name',
    { ...carry(tenant, makeContract(tenant)), body: GOOD.text },
    'BODY_OTHER',
  ],
  ['a body that is no base64', { ...good, body: '!' }, 'BODY_MALFORMED'],
  ['sealed to another node', bodied(seal('hunter2', {}, makeSecretKeys())), 'SECRET_FOREIGN'],
  ['sealed for another container', bodied(seal('hunter2', { container: 'db' })), 'SECRET_FOREIGN'],
  ['sealed for another grid', bodied(seal('hunter2', { grid: 'other' })), 'SECRET_FOREIGN'],
  ['no box for its secret', bodied(seal('hunter2'), 'web/other'), 'SECRET_FOREIGN'],
] as [string, CarriedContract, string][])('check 15 %s', (_, carried, code) => {
  expect(verdict(carried)).toBe(code);
});

function bodied(sealed: string, key = secretKey(PLACE)): CarriedContract {
  const body = encodeBody({ salt: '5a'.repeat(32), secrets: { [key]: sealed } });
  return { ...contractWith(tenant, body.digest), body: body.text };
}

test("who copies somebody's sealed secret into a contract of their own gets nothing", () => {
  expect(verdict({ ...contractWith(thief, GOOD.digest), body: GOOD.text })).toBe('SECRET_FOREIGN');
});

test('the same value for the same place is the same box, so signing anew restarts nothing', () => {
  expect(seal('hunter2')).toBe(seal('hunter2'));
  expect(seal('hunter3')).not.toBe(seal('hunter2'));
  expect(seal('hunter2', { name: 'other' })).not.toBe(seal('hunter2'));
});

test('a box does not show how long its value is', () => {
  expect(seal('a').length).toBe(seal('a'.repeat(200)).length);
});

test('whatever is sealed comes back, and one changed bit opens nothing', () => {
  const binding = bindingOf(PLACE);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(), fc.nat(7), (value, at, bit) => {
      const { publicKey: recipientKey, secretKey: own } = node.sealing;
      const sealerSecret = tenant.keys.sealing.secretKey;
      const sealed = sealSecret({ ...PLACE, recipientKey, value, sealerSecret });
      expect(openSecret(own, { sealed, binding })).toEqual(value);
      const box = fromBase64(sealed) ?? new Uint8Array();
      const index = at % box.length;
      box[index] = (box[index] ?? 0) ^ (1 << bit);
      expect(opensWith(own)(toBase64(box), binding)).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test.each([
  ['secrets and no private body', () => contractWith(tenant, null)],
  [
    'a private body and no secrets',
    () => carry(tenant, makeContract(tenant, { body: GOOD.digest })),
  ],
])('nobody signs %s', (_, make) => {
  expect(make).toThrow('it names a private body exactly when its containers have secrets');
});

test('only the tenant erases', () => {
  const contract = contractDigest(good.contract);
  const wish = { grid: GRID, tenant: tenant.id, contract, body: GOOD.digest, atMs: 1 };
  const erasure = signErasure(wish, tenant.keys.signing);
  expect(verifyErasure({ erasure, tenant: tenant.document }, GRID)).toMatchObject(wish);
  const forged = signErasure(wish, thief.keys.signing);
  expect(() => verifyErasure({ erasure: forged, tenant: thief.document }, GRID)).toThrow(
    'another tenant',
  );
});
