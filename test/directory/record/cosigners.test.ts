import { expect, onTestFinished, test } from 'vitest';
import { openCosigners } from '../../../src/directory/record/cosigners.ts';
import { refusalOf } from '../../../src/directory/record/standing.ts';
import { composePolicy, policyOf } from '../../../src/directory/record/policy.ts';
import { signCheckpoint } from '../../../src/record/checkpoint.ts';
import { noteKeyOf } from '../../../src/record/note.ts';
import { proveConsistency } from '../../../src/record/proof.ts';
import { verifyCheckpoint } from '../../../src/record/verify.ts';
import { leaves, plainReader, rootOf } from '../../support/record/plain-tree.ts';
import { LOG, WITNESSES } from '../../support/record/signers.ts';
import { openWitness, type WitnessServer } from '../../support/record/witness-server.ts';

const KEY = noteKeyOf(LOG.name, 'ed25519', LOG.publicKey);
const FIRST = 0;
const OTHER_HISTORY = 1000;

async function openThree(): Promise<WitnessServer[]> {
  const witnesses = await Promise.all(WITNESSES.map(async (signer) => openWitness(signer, KEY)));
  onTestFinished(async () => {
    for (const witness of witnesses) await witness[Symbol.asyncDispose]();
  });
  return witnesses;
}

function headOf(size: number, history = FIRST) {
  return { size, root: rootOf(leaves(size, history)) };
}

/** The log's side, of a history that has `sizeNow` entries by now. */
function openLog(witnesses: readonly WitnessServer[], sizeNow: number, quorum = '2') {
  const text = composePolicy(KEY, { witnesses: witnesses.map(({ wish }) => wish), quorum });
  const policy = policyOf(text);
  const cosigners = openCosigners({
    policy,
    growth: async (from, size) =>
      from === 0 || from === size ? [] : proveConsistency(from, size, plainReader(leaves(size))),
    sizeNow: async () => sizeNow,
    onWord: () => undefined,
    log: { warn: () => undefined },
  });
  const collect = async (size: number, deadlineMs = 5000) => {
    const head = { size, checkpoint: signCheckpoint(headOf(size), LOG) };
    const note = await cosigners.collect(head, AbortSignal.timeout(deadlineMs));
    return verifyCheckpoint(note, policy);
  };
  const refusal = (): string | undefined => refusalOf(policy, cosigners.words)?.code;
  return { collect, refusal };
}

test('a head is cosigned by enough, the next one with a proof from what each saw', async () => {
  const witnesses = await openThree();
  const log = openLog(witnesses, 300);
  expect((await log.collect(5)).cosigned.length).toBeGreaterThanOrEqual(2);
  expect((await log.collect(300)).head).toEqual(headOf(300));
  expect(log.refusal()).toBeUndefined();
});

test('a log that knows not what its witnesses saw is told, and proves from there', async () => {
  const witnesses = await openThree();
  await openLog(witnesses, 7).collect(7);
  const restarted = openLog(witnesses, 300);
  expect((await restarted.collect(300)).head.size).toBe(300);
});

test('one witness that is silent holds up nothing, and is asked again when it is back', async () => {
  const witnesses = await openThree();
  const [first] = witnesses;
  if (first !== undefined) first.mood = 'silent';
  const log = openLog(witnesses, 300);
  expect((await log.collect(5)).cosigned).toHaveLength(2);
  expect((await log.collect(6)).cosigned).toHaveLength(2);
  expect(first?.asked()).toBe(1);
});

test('while too few cosign nothing is given out, and it is when they are back', async () => {
  const witnesses = await openThree();
  for (const witness of witnesses.slice(1)) witness.mood = 503;
  const log = openLog(witnesses, 300);
  await expect(log.collect(5, 300)).rejects.toThrow('timeout');
  const waiting = log.collect(5);
  for (const witness of witnesses) witness.mood = 'good';
  expect((await waiting).cosigned.length).toBeGreaterThanOrEqual(2);
});

test('nothing is written before enough witnesses said that they saw nothing newer', async () => {
  const witnesses = await openThree();
  for (const witness of witnesses.slice(1)) witness.mood = 503;
  const log = openLog(witnesses, 5);
  expect(log.refusal()).toBe('RECORD_UNSEEN');
  await log.collect(5, 300).catch(() => undefined);
  expect(log.refusal()).toBe('RECORD_UNSEEN');
  for (const witness of witnesses) witness.mood = 'good';
  await log.collect(5);
  expect(log.refusal()).toBeUndefined();
});

test('a database that is older than what its witnesses saw is not written on', async () => {
  const witnesses = await openThree();
  await openLog(witnesses, 300).collect(300);
  const restored = openLog(witnesses, 200);
  await restored.collect(200, 500).catch(() => undefined);
  expect(restored.refusal()).toBe('RECORD_BEHIND');
});

test('one witness alone that claims to have seen more stops nothing', async () => {
  const witnesses = await openThree();
  const [liar] = witnesses;
  if (liar !== undefined) liar.latest = headOf(300);
  const log = openLog(witnesses, 200);
  expect((await log.collect(200)).cosigned).toHaveLength(2);
  expect(log.refusal()).toBeUndefined();
});

test('a second history is cosigned by nobody, of the same size or a larger one', async () => {
  for (const seen of [200, 150]) {
    const witnesses = await openThree();
    for (const witness of witnesses) witness.latest = headOf(seen, OTHER_HISTORY);
    const forked = openLog(witnesses, 200);
    await expect(forked.collect(200, 500)).rejects.toThrow('timeout');
    expect(forked.refusal()).toBe('RECORD_FORKED');
  }
});

test('with a quorum of one of two, both have to be heard before anything is written', async () => {
  const witnesses = (await openThree()).slice(0, 2);
  const [, second] = witnesses;
  if (second !== undefined) second.mood = 503;
  const log = openLog(witnesses, 5, '1');
  await log.collect(5);
  expect(log.refusal()).toBe('RECORD_UNSEEN');
});

test('what another signed is no cosignature', async () => {
  const witnesses = await openThree();
  const [first, second] = witnesses;
  // Two of the three answer with a key that is not theirs.
  const impostor = await openWitness({ ...LOG, name: 'w9.example/witness' }, KEY);
  onTestFinished(async () => impostor[Symbol.asyncDispose]());
  const posed = [first, second].map((witness) => ({
    ...impostor,
    wish: `${witness?.wish.split(' ')[0] ?? ''} ${impostor.url}`,
  }));
  const log = openLog([...posed, ...witnesses.slice(2)], 5);
  await expect(log.collect(5, 500)).rejects.toThrow('timeout');
});
