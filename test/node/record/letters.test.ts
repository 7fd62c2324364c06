import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { signCancellation } from '../../../src/contract/sign.ts';
import type { CarriedCancellation } from '../../../src/contract/verify.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { keepReading } from '../../../src/node/record/letters.ts';
import { parsePolicy } from '../../../src/record/policy.ts';
import { GRID, makePerson, NODE_ID, NOW_MS } from '../../support/contracts.ts';
import { LOG, vkeyOf, WITNESSES } from '../../support/record/signers.ts';

const tenant = makePerson('tenant');

function letterOf(digit: string): CarriedCancellation {
  const contract = digit.repeat(64);
  const said = { grid: GRID, contract, tenant: tenant.id, node: NODE_ID, atMs: NOW_MS };
  const cancellation = signCancellation(said, tenant.keys.signing);
  return { cancellation, tenant: tenant.document };
}

/** A witness's letter box with these letters, that counts who looks. */
async function openBox(items: readonly CarriedCancellation[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end(JSON.stringify({ items }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function policyOf(urls: readonly string[]) {
  const witnesses = urls.map((url, at) => {
    const key = vkeyOf(WITNESSES[at] ?? LOG, 'cosignature-v1');
    return `witness w${at} ${key} ${url}\n`;
  });
  return parsePolicy(utf8(`log ${vkeyOf(LOG, 'ed25519')}\n${witnesses.join('')}quorum none\n`));
}

async function read(urls: readonly string[], turns: number, isSilent: boolean) {
  const obeyed: CarriedCancellation[] = [];
  const bad: string[] = [];
  const troubles: string[] = [];
  const ending = new AbortController();
  let slept = 0;
  await keepReading(
    {
      node: NODE_ID,
      policy: policyOf(urls),
      isSilent: () => isSilent,
      obey: async (letter) => {
        if (letter.cancellation.signatures[0]?.sig === '') throw new Error('not signed');
        obeyed.push(letter);
      },
      onBad: (what) => bad.push(what),
      onTrouble: (what) => troubles.push(what),
      sleep: async () => {
        await pause(1);
        slept += 1;
        if (slept > turns) ending.abort();
      },
    },
    ending.signal,
  );
  return { obeyed, bad, troubles };
}

test('a letter is read at every witness that the policy names, and obeyed once', async () => {
  const letter = letterOf('a');
  const boxes = [await openBox([letter]), await openBox([letter, letterOf('b')])];
  const { obeyed } = await read(
    boxes.map(({ url }) => url),
    6,
    true,
  );
  expect(boxes.map(({ asked }) => asked.length)).toEqual([3, 3]);
  expect(boxes[0]?.asked[0]).toBe(`/v1/cancellations?node=${NODE_ID}`);
  expect(obeyed).toHaveLength(2);
});

test('witnesses are asked now and then while the directory answers, for it may keep back', async () => {
  const box = await openBox([letterOf('a')]);
  const { obeyed } = await read([box.url], 24, false);
  expect(box.asked).toHaveLength(2);
  expect(obeyed).toHaveLength(1);
});

test('a box that is gone, or holds what is no letter of ours, holds up no other', async () => {
  const letter = letterOf('a');
  const unsigned = { ...letter.cancellation, signatures: [{ keyid: '', sig: '' }] };
  const bad = await openBox([{ ...letter, cancellation: unsigned }]);
  const good = await openBox([letter]);
  const read6 = await read(['http://127.0.0.1:1', bad.url, good.url], 6, true);
  expect(read6).toEqual({ obeyed: [letter], bad: ['letter'], troubles: ['letters', 'letters'] });
});
