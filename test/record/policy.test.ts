import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes, utf8 } from '../../src/lib/bytes.ts';
import { formatNoteKey, type NoteKey, noteKeyOf } from '../../src/record/note.ts';
import { isQuorum, parsePolicy, type Policy, POLICY_BYTES_MAX } from '../../src/record/policy.ts';
import { LOG, recordVectors, verdict, vkeyOf } from '../support/record/signers.ts';

const log = vkeyOf(LOG, 'ed25519');
/** A verifier key of a number; nobody signs here, so any 32 bytes are a key. */
function vkey(
  type: 'ed25519' | 'cosignature-v1',
  number: number,
  name = `${number}.example`,
): string {
  return formatNoteKey(noteKeyOf(name, type, new Uint8Array(32).fill(number)));
}

/** The verifier key of the witness of a number. */
function w(number: number): string {
  return vkey('cosignature-v1', number);
}

function policyOf(...lines: readonly string[]): Policy {
  return parsePolicy(utf8(`${lines.join('\n')}\n`));
}

/** Whether the witnesses of these names are enough. */
function isEnough(policy: Policy, ...names: readonly string[]): boolean {
  const keys = names.map((name) => policy.witnesses.get(name)?.key);
  return isQuorum(policy, new Set(keys.filter((key): key is NoteKey => key !== undefined)));
}

/** The example of c2sp.org/tlog-policy, with keys in it. */
const TWO_LEVELS = [
  `log ${log}`,
  '',
  `witness X1 ${w(1)}`,
  `witness X2 ${w(2)}`,
  `witness X3 ${w(3)}`,
  'group X-witnesses 2 X1 X2 X3',
  '',
  `witness Y1 ${w(4)}`,
  `witness Y2 ${w(5)}`,
  `witness Y3 ${w(6)}`,
  'group Y-witnesses any Y1 Y2 Y3',
  '',
  'group X-and-Y all X-witnesses Y-witnesses',
  'quorum X-and-Y',
];

test('the example of the policy specification asks for two of X and one of Y', () => {
  const policy = policyOf(...TWO_LEVELS);
  expect(policy.logs.map(({ key }) => key.name)).toEqual([LOG.name]);
  expect(policy.witnesses.size).toBe(6);
  expect(isEnough(policy)).toBe(false);
  expect(isEnough(policy, 'X1', 'Y1')).toBe(false);
  expect(isEnough(policy, 'X1', 'X2', 'X3')).toBe(false);
  expect(isEnough(policy, 'Y1', 'Y2', 'Y3')).toBe(false);
  expect(isEnough(policy, 'X1', 'X3', 'Y2')).toBe(true);
  expect(isEnough(policy, 'X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3')).toBe(true);
});

test('a policy that others read is read here, with its URL', () => {
  const policy = parsePolicy(utf8(recordVectors().policy));
  expect(policy.logs[0]?.url).toBe('https://directory.example/record/');
  expect([...policy.witnesses.keys()]).toEqual(['w1', 'w2', 'w3']);
  expect([isEnough(policy, 'w1'), isEnough(policy, 'w1', 'w3')]).toEqual([false, true]);
});

test('a quorum is a witness, a group, or none, and lines may come in any order', () => {
  const alone = policyOf(`witness A ${w(1)}`, 'quorum A', `witness B ${w(2)}`, `log ${log}`);
  expect([isEnough(alone, 'B'), isEnough(alone, 'A')]).toEqual([false, true]);
  expect(isEnough(policyOf('quorum none'))).toBe(true);
  const spaced = policyOf(`\t witness  A \t${w(1)} `, '  # words', '#', ' \t', 'quorum A');
  expect(isEnough(spaced, 'A')).toBe(true);
});

test('a group of k asks for k of its members, whoever they are', () => {
  const members = fc.integer({ min: 1, max: 12 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      needed: fc.integer({ min: 1, max: count }),
      seen: fc.subarray(Array.from({ length: count }, (_, at) => `w${at}`)),
    }),
  );
  fc.assert(
    fc.property(members, ({ count, needed, seen }) => {
      const names = Array.from({ length: count }, (_, at) => `w${at}`);
      const policy = policyOf(
        ...names.map((name, at) => `witness ${name} ${w(at)}`),
        `group g ${needed} ${names.join(' ')}`,
        'quorum g',
      );
      expect(isEnough(policy, ...seen)).toBe(seen.length >= needed);
    }),
    { numRuns: 40 },
  );
});

test('names are bytes: one that is no UTF-8 is a name too, and equals no other', () => {
  const named = (...name: readonly number[]): Uint8Array =>
    concatBytes(utf8('witness '), Uint8Array.from(name), utf8(` ${w(name[0] ?? 0)}\n`));
  const bytes = concatBytes(
    named(0xff),
    named(0xfe),
    utf8('group g all '),
    Uint8Array.of(0xff, 0x20, 0xfe, 0x0a),
    utf8('quorum g\n'),
  );
  expect([...parsePolicy(bytes).witnesses.keys()]).toEqual(['\xff', '\xfe']);
});

const A = `witness A ${w(1)}`;
const B = `witness B ${w(2)}`;
const NO_POLICIES: readonly (readonly [string, readonly string[]])[] = [
  ['no quorum', [A]],
  ['two quorums', [A, 'quorum A', 'quorum A']],
  ['a quorum of two', [A, B, 'quorum A B']],
  ['a quorum of nobody', ['quorum']],
  ['a quorum defined below', ['quorum A', A]],
  ['a member defined below', ['group g any A', A, 'quorum g']],
  ['a group in itself', ['group g any g', 'quorum g']],
  ['a group without members', [A, 'group g any', 'quorum g']],
  ['a group of none', ['group g any none', 'quorum g']],
  ['a member twice in one group', [A, 'group g 2 A A', 'quorum g']],
  ['a member in two groups', [A, B, 'group g any A B', 'group h any g A', 'quorum h']],
  ['too high a number', [A, B, 'group g 3 A B', 'quorum g']],
  ['a number of nought', [A, 'group g 0 A', 'quorum g']],
  ['a number with a zero before it', [A, 'group g 01 A', 'quorum g']],
  ['a number that is none', [A, 'group g most A', 'quorum g']],
  ['a name twice', [A, `witness A ${w(2)}`, 'quorum A']],
  ['a group named as a witness', [A, 'group A any A', 'quorum A']],
  ['a witness named none', [`witness none ${w(1)}`, 'quorum none']],
  ['a witness twice', [A, `witness B ${w(1)}`, 'quorum A']],
  [
    'a witness under another key name',
    [A, `witness B ${vkey('cosignature-v1', 1, 'other.example')}`, 'quorum A'],
  ],
  ['a log twice', [`log ${log}`, `log ${log}`, 'quorum none']],
  ['a witness for a log', [`log ${w(1)}`, 'quorum none']],
  ['a log for a witness', [`witness A ${log}`, 'quorum A']],
  ['a key that is none', ['witness A key', 'quorum A']],
  ['a log without a key', ['log', 'quorum none']],
  ['a witness without a key', ['witness A', 'quorum none']],
  ['two URLs', [`log ${log} https://a https://b`, 'quorum none']],
  ['an unknown word', ['logs', 'quorum none']],
  ['a keyword in capitals', ['QUORUM none']],
  ['a carriage return', ['quorum none', '# words\r']],
  ['a null', ['quorum none', '# words\0']],
  ['a delete', ['quorum none', '# words\x7f']],
  ['65 witnesses', [...upTo(65).map((at) => `witness W${at} ${w(at)}`), 'quorum W1']],
  ['65 logs', [...upTo(65).map((at) => `log ${vkey('ed25519', at)}`), 'quorum none']],
  ['65 groups', [A, ...upTo(65).map((at) => `group ${at + 1} any ${at || 'A'}`), 'quorum 65']],
];

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}

test.each(NO_POLICIES)('with %s it is no policy', (_, lines) => {
  expect(verdict(() => policyOf(...lines))).toBe('POLICY_MALFORMED');
});

test('a policy that is cut, empty or too long is refused', () => {
  const long = `${'#'.repeat(POLICY_BYTES_MAX)}\nquorum none\n`;
  for (const text of ['', 'quorum none', 'quorum none\n# words', long]) {
    expect(verdict(() => parsePolicy(utf8(text)))).toBe('POLICY_MALFORMED');
  }
});

test('64 logs, witnesses and groups are read', () => {
  const many = policyOf(
    ...upTo(64).map((at) => `log ${vkey('ed25519', at)}`),
    ...upTo(64).map((at) => `witness W${at} ${w(at)}`),
    ...upTo(64).map((at) => `group ${at + 1} any ${at || 'W0'}`),
    'quorum 64',
  );
  expect([many.logs.length, many.witnesses.size, many.groups.size]).toEqual([64, 64, 64]);
  expect([isEnough(many, 'W1'), isEnough(many, 'W0')]).toEqual([false, true]);
});

test('a refusal names the line', () => {
  expect(() => policyOf('# words', 'quorum A')).toThrow(/^Line 2 of the policy: /u);
});
