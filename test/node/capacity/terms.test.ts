import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { signTerms, type Terms } from '../../../src/capacity/farm/terms.ts';
import { verifyOffer } from '../../../src/capacity/verify.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import type { Envelope } from '../../../src/identity/envelope.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { openTerms } from '../../../src/node/capacity/terms.ts';
import { GRID, PRICES } from '../../support/contracts.ts';
import { contractFor, type Farmer, homeOf, makeFarmer } from '../../support/identity/farm.ts';
import { startAgent, until } from '../../support/node/agent.ts';
import {
  IMAGE,
  joined,
  lonely,
  nodeOf,
  openGrid,
  receiptOf,
  stateOf,
  submit,
} from '../../support/node/grid.ts';

const DEARER = { ...PRICES, computeHourMicros: 99_000 };

function sign(farmer: Farmer, over: Partial<Terms> = {}, by = farmer) {
  const terms: Terms = {
    grid: GRID,
    farm: farmer.farmId,
    farmer: farmer.id,
    version: 1,
    location: null,
    payout: null,
    prices: DEARER,
    ...over,
  };
  return signTerms(terms, by.keys.signing);
}

test('a node asks by what its farmer signed, and what was agreed to before stays', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  const before = nodeOf(agent);
  const id = await submit(directory, contractFor(tenant, before, lonely()));
  await stateOf(directory, agent, { id, state: 'running' });

  await directory.client.putTerms(farmer.farmId, sign(farmer));
  const said = await until(
    async () => directory.client.node(before.id),
    ({ offerId }) => offerId !== before.offerId,
    () => agent.lines.join('\n'),
  );
  const offer = verifyOffer(said.offer, verifyIdentity(said.identity), GRID);
  expect(offer).toMatchObject({ version: 2, prices: DEARER, termsVersion: 1 });
  expect(agent.offer.id).toBe(offer.id);

  const node = { id: before.id, offerId: offer.id };
  const cheap = contractFor(tenant, node, { ...lonely(), price: PRICES });
  expect(await directory.client.submitContract(cheap).catch(codeOf)).toBe('PRICE_OTHER');
  const next = await submit(directory, contractFor(tenant, node, { ...lonely(), price: DEARER }));
  await stateOf(directory, agent, { id: next, state: 'running' });
  expect((await receiptOf(directory, agent, id))?.state).toBe('running');

  // As after a restart: terms and offer are known before the directory says a word.
  await agent.stop();
  await using again = await startAgent({ directory, farmer, before: agent });
  expect(again.offer).toMatchObject({ id: offer.id });
});

test('terms that another farmer signed, for another farm, or older ones, are not taken', async () => {
  const farmer = makeFarmer();
  const stranger = makeFarmer('stranger');
  const folder = mkdtempSync(join(tmpdir(), 'zos-terms-'));
  const holder = await openTerms({
    path: join(folder, 'farm-terms.json'),
    grid: GRID,
    home: homeOf(farmer),
    onBad: () => undefined,
  });
  const take = async (terms: Envelope): Promise<unknown> => holder.take(terms).catch(codeOf);
  expect(await take(sign(farmer, {}, stranger))).toBe('ENVELOPE_UNTRUSTED');
  expect(await take(sign(farmer, { farm: stranger.farmId }))).toBe('TERMS_FOREIGN');
  await holder.take(sign(farmer, { version: 3 }));
  expect(await take(sign(farmer, { version: 2 }))).toBe('TERMS_OLD');
  expect(holder.current()).toMatchObject({ version: 3 });
  rmSync(folder, { recursive: true });
});
