import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLetterBox } from '../../src/bot/witness/letters.ts';
import { makeWitness } from '../../src/bot/witness/server.ts';
import { openWitnessStore } from '../../src/bot/witness/store.ts';
import { signCancellation } from '../../src/contract/sign.ts';
import type { Cancellation } from '../../src/contract/spec.ts';
import { exchange } from '../../src/host/http.ts';
import { DAY_MS, MINUTE_MS } from '../../src/lib/units.ts';
import { type Letter, NODE_LETTERS_MAX, putLetter, readLetters } from '../../src/sdk/letters.ts';
import { GRID, makePerson, NODE_ID, NOW_MS } from '../support/contracts.ts';

const tenant = makePerson('tenant');
const stranger = makePerson('stranger');
let count = 0;

function letterOf(changes: Partial<Cancellation> = {}, signer = tenant): Letter {
  count += 1;
  const contract = count.toString(16).padStart(64, '0');
  const said = { grid: GRID, contract, tenant: tenant.id, node: NODE_ID, atMs: NOW_MS, ...changes };
  const cancellation = signCancellation(said, signer.keys.signing);
  return { cancellation, tenant: tenant.document };
}

/** The real server of a witness, with a clock that tests turn. */
async function openWitness(folder = mkdtempSync(join(tmpdir(), 'zos-letters-'))) {
  const clock = { nowMs: NOW_MS };
  const store = openWitnessStore(folder);
  const box = openLetterBox(folder);
  const failures: unknown[] = [];
  const server = makeWitness({
    store,
    box,
    nowMs: () => clock.nowMs,
    requestDeadlineMs: 10_000,
    onAlarm: () => undefined,
    onFailure: (error) => failures.push(error),
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    store[Symbol.dispose]();
    box[Symbol.dispose]();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const put = async (body: string): Promise<string> => {
    const answer = await exchange({ url: `${url}/v1/cancellations`, method: 'POST', body });
    return `${answer.status} ${Buffer.from(answer.body).toString().split(':')[0] ?? ''}`;
  };
  return { folder, clock, url, put, failures };
}

test('a letter waits for its node, for a week, also over a restart of the witness', async () => {
  const { folder, url } = await openWitness();
  const letter = letterOf();
  await putLetter({ url }, letter);
  await putLetter({ url }, letter);
  expect(await readLetters({ url }, NODE_ID)).toEqual([letter]);
  expect(await readLetters({ url }, 'ee'.repeat(32))).toEqual([]);
  const again = await openWitness(folder);
  expect(await readLetters(again, NODE_ID)).toEqual([letter]);
  again.clock.nowMs += 7 * DAY_MS;
  expect(await readLetters(again, NODE_ID)).toEqual([]);
});

const REFUSED: readonly (readonly [string, string, string])[] = [
  ['by a stranger', JSON.stringify(letterOf({}, stranger)), '400 ENVELOPE_UNTRUSTED'],
  [
    'in the name of another',
    JSON.stringify({ ...letterOf({}, stranger), tenant: stranger.document }),
    '400 TENANT_MISMATCH',
  ],
  ['of last week', JSON.stringify(letterOf({ atMs: NOW_MS - 7 * DAY_MS })), '422 LETTER_STALE'],
  ['of tomorrow', JSON.stringify(letterOf({ atMs: NOW_MS + 6 * MINUTE_MS })), '422 LETTER_STALE'],
  ['that is none', '{}', '400 MALFORMED'],
  ['that is no JSON', '{', '400 JSON_SYNTAX'],
  ['that is too long', JSON.stringify(' '.repeat(65 * 1024)), '413 LETTER_TOO_LONG'],
];

test.each(REFUSED)('a letter %s is not taken', async (_what, body, expected) => {
  const { url, put, failures } = await openWitness();
  expect(await put(body)).toBe(expected);
  expect(await readLetters({ url }, NODE_ID)).toEqual([]);
  expect(failures).toEqual([]);
});

test('a node’s box is full at its bound, and others’ are not', async () => {
  const { url, put } = await openWitness();
  for (let at = 0; at < NODE_LETTERS_MAX; at += 1) await putLetter({ url }, letterOf());
  expect(await put(JSON.stringify(letterOf()))).toBe('503 BOX_FULL');
  const elsewhere = letterOf({ node: 'ee'.repeat(32) });
  await putLetter({ url }, elsewhere);
  expect(await readLetters({ url }, 'ee'.repeat(32))).toEqual([elsewhere]);
  expect(await readLetters({ url }, NODE_ID)).toHaveLength(NODE_LETTERS_MAX);
});
