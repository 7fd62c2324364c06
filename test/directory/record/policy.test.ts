import { expect, test } from 'vitest';
import { composePolicy, policyOf } from '../../../src/directory/record/policy.ts';
import { noteKeyOf } from '../../../src/record/note.ts';
import { isQuorum } from '../../../src/record/policy.ts';
import { LOG, verdict, vkeyOf, WITNESSES } from '../../support/record/signers.ts';

const KEY = noteKeyOf(LOG.name, 'ed25519', LOG.publicKey);
const WISHES = WITNESSES.map(
  (witness, at) => `${vkeyOf(witness, 'cosignature-v1')} http://127.0.0.1:${9000 + at}`,
);

function needed(count: number, quorum?: string): number {
  const policy = policyOf(composePolicy(KEY, { witnesses: WISHES.slice(0, count), quorum }));
  const keys = [...policy.witnesses.values()].map(({ key }) => key);
  return [0, 1, 2, 3].find((few) => isQuorum(policy, new Set(keys.slice(0, few)))) ?? -1;
}

test('a record needs all of its witnesses but one, one at least, or as many as are named', () => {
  expect([1, 2, 3].map((count) => needed(count))).toEqual([1, 1, 2]);
  expect(['1', '2', '3'].map((quorum) => needed(3, quorum))).toEqual([1, 2, 3]);
});

test('without a witness nobody has to see it, and the policy says so', () => {
  expect(composePolicy(KEY, { witnesses: [], quorum: undefined })).toBe(
    `log ${vkeyOf(LOG, 'ed25519')}\nquorum none\n`,
  );
});

test('the policy names the log, and each witness with the place where it answers', () => {
  const { logs, witnesses } = policyOf(composePolicy(KEY, { witnesses: WISHES, quorum: '2' }));
  expect(logs).toEqual([{ key: KEY, url: undefined }]);
  expect([...witnesses.values()].map(({ url }) => url)).toEqual([
    'http://127.0.0.1:9000',
    'http://127.0.0.1:9001',
    'http://127.0.0.1:9002',
  ]);
});

test.each([
  ['a quorum of none', WISHES, '0'],
  ['a quorum of more than there are', WISHES, '4'],
  ['a quorum that is no number', WISHES, 'all'],
  ['a quorum without a witness', [], '1'],
  ['a witness without a URL', [vkeyOf(LOG, 'cosignature-v1')], undefined],
  [
    'a witness with a URL of another kind',
    [`${vkeyOf(LOG, 'cosignature-v1')} file:///a`],
    undefined,
  ],
  ['a key that is none', ['w1+aaaaaaaa+AAAA http://127.0.0.1:1'], undefined],
  ['the key of a log', [`${vkeyOf(LOG, 'ed25519')} http://127.0.0.1:1`], undefined],
  ['one witness twice', [...WISHES, ...WISHES.slice(0, 1)], undefined],
])('a directory with %s does not start', (_what, witnesses, quorum) => {
  expect(verdict(() => composePolicy(KEY, { witnesses, quorum }))).toBe('ARGUMENTS');
});
