import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyIdentity } from '../../../src/identity/document.ts';
import type { Envelope } from '../../../src/identity/envelope.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { DAY_MS, MINUTE_MS } from '../../../src/lib/units.ts';
import { openPolicy, type PolicyHolder } from '../../../src/node/turns/policy.ts';
import { openTurns } from '../../../src/node/turns/turns.ts';
import type { BadMark, UpdatePolicy } from '../../../src/rollout/spec.ts';
import { signTurnAnswer, signUpdatePolicy, verifyTurnWish } from '../../../src/rollout/verify.ts';
import { GRID, makePerson, NOW_MS, type Person } from '../../support/contracts.ts';
import { type Farmer, homeOf, makeFarmer } from '../../support/identity/farm.ts';

const NEW = '11'.repeat(32);
const [node, directory] = [makePerson('node'), makePerson('directory')];
const farmer = makeFarmer();
/** The clock of tests shows a Saturday at noon. */
const SUNDAY_AT_THREE_MS = NOW_MS + 15 * 60 * MINUTE_MS;

function sign(over: Partial<UpdatePolicy> = {}, by: Farmer = farmer): Envelope {
  const policy: UpdatePolicy = {
    grid: GRID,
    farm: by.farmId,
    farmer: by.id,
    version: 1,
    window: { days: ['sun'], startMinute: 120, lengthMinutes: 180 },
    sharePercent: 25,
    stopped: [],
    forgiven: [],
    ...over,
  };
  return signUpdatePolicy(policy, by.keys.signing);
}

type Home = Disposable & {
  readonly path: string;
  readonly told: string[];
  open: () => Promise<PolicyHolder>;
};

/** The disk of a node whose boot media carry the farmer's token. */
function makeHome(): Home {
  const folder = mkdtempSync(join(tmpdir(), 'zos-turns-'));
  const path = join(folder, 'update-policy.json');
  const told: string[] = [];
  return {
    path,
    told,
    open: async () =>
      openPolicy({
        path,
        grid: GRID,
        home: homeOf(farmer),
        onBad: (what, error) => told.push(`${what}: ${codeOf(error)}`),
      }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

/** A node that asks a directory in an attacker's hands, which lets everybody go. */
function openLiar(
  policy: PolicyHolder,
  clock: { nowMs: number; answerMs?: number },
  liar: Person = directory,
) {
  const asked: Envelope[] = [];
  const turns = openTurns({
    grid: GRID,
    node: node.id,
    signer: node.keys.signing,
    policy,
    directory: verifyIdentity(directory.document),
    send: async (wish) => {
      asked.push(wish);
      const verified = verifyTurnWish(wish, verifyIdentity(node.document), {
        grid: GRID,
        ...clock,
      });
      const untilMs = clock.nowMs + DAY_MS;
      clock.nowMs += clock.answerMs ?? 0;
      return signTurnAnswer(verified, { may: true, untilMs }, liar.keys.signing);
    },
    nextSeq: async (nowMs) => nowMs,
    clock: () => clock.nowMs,
    isClockSynced: () => true,
    onBad: () => undefined,
  });
  const ask = async (bad: readonly BadMark[] = []): Promise<string> => {
    const judgement = await turns.mayUpdate({ what: 'system', from: null, to: NEW, bad });
    return judgement.may ? 'goes' : judgement.code;
  };
  return { asked, ask, turns };
}

const WANTS = { revision: 1, contracts: [], cancellations: [], peers: [], questions: [] };

test('a directory that lets everybody go moves no node outside of its farmer’s window', async () => {
  using home = makeHome();
  const policy = await home.open();
  await policy.take(sign());
  const clock = { nowMs: NOW_MS };
  const { ask, asked } = openLiar(policy, clock);
  const codes = new Set<string>();
  for (; clock.nowMs < NOW_MS + 6 * DAY_MS; clock.nowMs += 30 * MINUTE_MS) {
    const date = new Date(clock.nowMs);
    const hour = date.getUTCHours() + date.getUTCMinutes() / 60;
    const isWithin = date.getUTCDay() === 0 && hour >= 2 && hour < 5;
    const code = await ask();
    codes.add(code);
    expect({ at: date.toISOString(), code }).toEqual({
      at: date.toISOString(),
      code: isWithin ? 'goes' : 'WINDOW_CLOSED',
    });
  }
  expect(codes.size).toBe(2);
  // It is not even asked where the node's own answer is no.
  expect(asked).toHaveLength(6);
});

test('a node that found a release bad tries it again by its farmer’s word alone', async () => {
  using home = makeHome();
  const policy = await home.open();
  await policy.take(sign({ window: 'always' }));
  const { ask, turns } = openLiar(policy, { nowMs: NOW_MS });
  const policyVersion = turns.policyVersion();
  const mark = { what: 'system', sha256: NEW, reason: 'x', atMs: NOW_MS, policyVersion } as const;
  expect(await ask([mark])).toBe('BAD_HERE');
  const forgiven = [{ release: NEW, version: 2 }];
  const updatePolicy = {
    policy: sign({ window: 'always', version: 2, forgiven }),
    farmer: farmer.document,
  };
  await turns.take({ ...WANTS, updatePolicy });
  expect(await ask([mark])).toBe('goes');
  expect(await ask([{ ...mark, policyVersion: turns.policyVersion() }])).toBe('BAD_HERE');
});

test('a node judges once more when the answer is there: it may come after the window closed', async () => {
  using home = makeHome();
  const policy = await home.open();
  await policy.take(sign());
  const clock = { nowMs: SUNDAY_AT_THREE_MS, answerMs: 3 * 60 * MINUTE_MS };
  const { ask, asked } = openLiar(policy, clock);
  expect(await ask()).toBe('WINDOW_CLOSED');
  expect(asked).toHaveLength(1);
});

test('an answer that the directory did not sign, or none, lets nobody go', async () => {
  using home = makeHome();
  const policy = await home.open();
  await policy.take(sign());
  const clock = { nowMs: SUNDAY_AT_THREE_MS };
  expect(await openLiar(policy, clock).ask()).toBe('goes');
  expect(await openLiar(policy, clock, makePerson('stranger')).ask()).toBe('DIRECTORY_SILENT');
});

test('the newest policy stays: over a restart, and whatever older one is shown', async () => {
  using home = makeHome();
  const first = await home.open();
  await first.take(sign({ version: 2 }));
  const wider = sign({ version: 1, window: 'always' });
  await expect(first.take(wider)).rejects.toMatchObject({ code: 'POLICY_OLD' });
  const second = await home.open();
  expect(second.current()?.version).toBe(2);
  await expect(second.take(wider)).rejects.toMatchObject({ code: 'POLICY_OLD' });
  await second.take(sign({ version: 3, sharePercent: 50 }));
  expect((await home.open()).current()?.sharePercent).toBe(50);
  expect(home.told).toEqual([]);
});

test('a policy of somebody else’s farm is refused, and a damaged file is none', async () => {
  using home = makeHome();
  const policy = await home.open();
  const other = makeFarmer('other');
  await expect(policy.take(sign({}, other))).rejects.toMatchObject({ code: 'ENVELOPE_UNTRUSTED' });
  expect(policy.current()).toBeNull();
  writeFileSync(home.path, JSON.stringify(sign({}, other)));
  expect((await home.open()).current()).toBeNull();
  writeFileSync(home.path, 'half a f');
  expect((await home.open()).current()).toBeNull();
  expect(home.told).toEqual([
    'stored update policy: ENVELOPE_UNTRUSTED',
    'stored update policy: JSON_SYNTAX',
  ]);
});
