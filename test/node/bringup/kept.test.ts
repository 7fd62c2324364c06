import { mkdtempSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Offer } from '../../../src/capacity/spec.ts';
import { openSelf } from '../../../src/node/bringup/identity.ts';
import { FREE } from '../../../src/capacity/price.ts';
import { renewOffer } from '../../../src/node/capacity/offer.ts';
import { openSequence } from '../../../src/node/bringup/sequence.ts';
import { GRID } from '../../support/contracts.ts';
import { CAPACITY } from '../../support/identity/farm.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zos-kept-'));
});
afterEach(async () => rm(folder, { recursive: true }));

test('a node is the same node after a restart, and its keys are for root alone', async () => {
  const first = await openSelf(join(folder, 'node'));
  const again = await openSelf(join(folder, 'node'));
  expect([first.isNew, again.isNew]).toEqual([true, false]);
  expect(again.identity.id).toBe(first.identity.id);
  expect(again.keys).toEqual(first.keys);
  const { mode } = await stat(join(folder, 'node/key.json'));
  expect(mode & 0o777).toBe(0o600);
});

test('a damaged key file stops the node and its words hold nothing of the key', async () => {
  await openSelf(folder);
  const path = join(folder, 'key.json');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.slice(0, -20));
  const error: unknown = await openSelf(folder).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'KEY_MALFORMED' });
  expect(String(error)).not.toContain(text.slice(20, 40));
});

async function offerOf(changes: Partial<Offer> = {}) {
  const self = await openSelf(folder);
  return renewOffer({
    path: join(folder, 'offer.json'),
    self: self.identity,
    signer: self.keys.signing,
    content: {
      grid: GRID,
      node: self.identity.id,
      capacity: CAPACITY,
      class: 'unverified',
      endorsement: null,
      prices: FREE,
      termsVersion: 0,
      features: [],
      hardware: { board: 'test', processor: 'test', networkCards: [], disks: [] },
      ...changes,
    },
  });
}

test('the offer stays the very same while nothing changed, and else gets the next version', async () => {
  const first = await offerOf();
  expect(await offerOf()).toEqual(first);
  const more = await offerOf({ capacity: { ...CAPACITY, cru: 8 } });
  expect(more.offer.version).toBe(2);
  expect(more.id).not.toBe(first.id);
});

test('an offer that somebody put on the disk is not taken for our own', async () => {
  const first = await offerOf();
  const path = join(folder, 'offer.json');
  const text = await readFile(path, 'utf8');
  const { payload } = JSON.parse(text) as { payload: string };
  const forged = Buffer.from(payload, 'base64').toString().replace('"cru":4', '"cru":9');
  await writeFile(path, text.replace(payload, Buffer.from(forged).toString('base64')));
  expect((await offerOf()).offer.capacity).toEqual(first.offer.capacity);
});

test('numbers only grow: side by side, over restarts, and when the clock goes back', async () => {
  const path = join(folder, 'seq');
  const next = await openSequence(path);
  const first = await Promise.all([next(1000), next(1000), next(5000), next(2000)]);
  const again = await openSequence(path);
  const all = [...first, await again(10), await again(9000), await again(9000)];
  expect(all).toEqual([1000, 1001, 5000, 5001, 5002, 9000, 9001]);
});

test.each(['', 'x', '-5', '1e9', '9'.repeat(60)])(
  'a damaged counter %o begins anew',
  async (text) => {
    const path = join(folder, 'seq');
    await writeFile(path, text);
    const next = await openSequence(path);
    expect(await next(7)).toBe(7);
  },
);
