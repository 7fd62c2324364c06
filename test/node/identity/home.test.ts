import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { signTerms } from '../../../src/capacity/farm/terms.ts';
import { signConsent } from '../../../src/disk/consent.ts';
import { bundleOf, type IdentityBundle } from '../../../src/identity/bundle.ts';
import { changeIdentity } from '../../../src/identity/operation.ts';
import { toBase64 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { type HomeParts, openHome } from '../../../src/node/identity/home.ts';
import type { Registered } from '../../../src/sdk/registration.ts';
import { GRID, PRICES } from '../../support/contracts.ts';
import { approve, makeFarmer, makeToken } from '../../support/identity/farm.ts';
import { makeOwner } from '../../support/identity/people.ts';
import { startAgent, until } from '../../support/node/agent.ts';
import { openGrid, startApproved } from '../../support/node/grid.ts';

const NODE = 'ab'.repeat(32);
const farmer = makeFarmer();

/** What a node finds of its farmer when it starts, and what it then says is wrong. */
type Start = Disposable & {
  readonly path: string;
  readonly bad: string[];
  readonly open: (media?: Partial<HomeParts>) => ReturnType<typeof openHome>;
};

function makeStart(): Start {
  const folder = mkdtempSync(join(tmpdir(), 'zos-home-'));
  const bad: string[] = [];
  const media = { token: null, farmer: null };
  const onBad = (what: string, error: unknown): void => void bad.push(`${what}: ${codeOf(error)}`);
  const path = join(folder, 'approval.json');
  const own = { grid: GRID, node: NODE, path, onBad };
  return {
    path,
    bad,
    open: async (changes) => openHome({ ...own, ...media, ...changes }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

type Approver = Parameters<typeof approve>[0] & { readonly document: IdentityBundle };

function told(by: Approver, changes: Record<string, unknown> = {}): Registered {
  const approval = { word: approve(by, NODE, changes), farmer: by.document };
  return { id: NODE, state: 'joined', farm: by.farmId, approval };
}

/** Signed by a rival in the farmer's name. */
function forged(): Registered {
  const { id, farmId, document } = farmer;
  return told({ id, farmId, document, keys: makeFarmer('rival').keys });
}

test('whose node it is comes from an approval that the farmer signed, and is kept', async () => {
  using start = makeStart();
  const home = await start.open();
  await home.hear({ id: NODE, state: 'joined', farm: farmer.farmId });
  await home.hear(forged());
  await home.hear(told(farmer, { node: farmer.farmId }));
  await home.hear(told(farmer, { grid: 'else' }));
  expect(start.bad).toEqual([
    'approval: ENVELOPE_UNTRUSTED',
    'approval: FARM_FOREIGN',
    'approval: GRID_FOREIGN',
  ]);
  expect(home.current()).toBeUndefined();
  await home.hear(told(farmer));
  expect(home.current()).toMatchObject({ farm: farmer.farmId, farmer: { id: farmer.id } });
  expect((await start.open()).current()).toEqual(home.current());
});

test('an approved node is nobody else’s from then on, whatever the directory tells', async () => {
  using start = makeStart();
  const home = await start.open();
  await home.hear(told(farmer));
  const before = home.current();
  await home.hear(told(makeFarmer('rival')));
  await home.hear(told(farmer, { farm: 'cd'.repeat(32) }));
  expect(start.bad).toEqual(['approval: FARM_FOREIGN', 'approval: FARM_FOREIGN']);
  expect(home.current()).toBe(before);
  expect((await start.open()).current()).toEqual(before);
});

test('a kept approval that is cut off, forged or too long is none, and is heard again', async () => {
  using start = makeStart();
  await (await start.open()).hear(told(farmer));
  const text = readFileSync(start.path, 'utf8');
  const strange = JSON.stringify(forged().approval);
  for (const wrong of [text.slice(0, -1), 'null', strange, `${text}${' '.repeat(1_000_000)}`]) {
    writeFileSync(start.path, wrong);
    const home = await start.open();
    expect(home.current()).toBeUndefined();
    await home.hear(told(farmer));
    expect(home.current()).toMatchObject({ farm: farmer.farmId });
    expect((await start.open()).current()).toEqual(home.current());
  }
  expect(start.bad).toHaveLength(4);
  expect(new Set(start.bad.map((each) => each.split(':')[0]))).toEqual(
    new Set(['stored approval']),
  );
});

test('keys that the farmer changed count once approved by them, and older ones not again', async () => {
  using start = makeStart();
  const home = await start.open();
  const owner = makeOwner('owner');
  const fresh = makeOwner('fresh').keys.signing;
  const signingKeys = [toBase64(fresh.publicKey)];
  const changed = changeIdentity(owner.chain, { signingKeys }, owner.recovery);
  const by = (chain: typeof owner.chain, signing = owner.keys.signing): Registered =>
    told({ id: owner.id, farmId: 'cd'.repeat(32), keys: { signing }, document: bundleOf(chain) });
  await home.hear(by(owner.chain));
  const before = home.current();
  await home.hear(by(changed));
  expect(home.current()).toBe(before);
  await home.hear(by(changed, fresh));
  expect(home.current()?.farmer.chain).toHaveLength(2);
  await home.hear(by(owner.chain));
  expect(start.bad).toEqual(['approval: ENVELOPE_UNTRUSTED', 'approval: IDENTITY_OLD']);
  expect(home.current()?.farmer.chain).toHaveLength(2);
});

test('boot media with a join token settle it, and media that name a farmer let no other', async () => {
  using start = makeStart();
  const rival = makeFarmer('rival');
  const named = await start.open({ farmer: farmer.document });
  await named.hear(told(rival));
  expect(start.bad).toEqual(['approval: IDENTITY_MISMATCH']);
  expect(named.current()).toBeUndefined();
  await named.hear(told(farmer));
  expect(named.current()).toMatchObject({ farm: farmer.farmId, farmer: { id: farmer.id } });
  const joined = await start.open({ token: makeToken(rival), farmer: rival.document });
  await joined.hear(told(farmer));
  expect(joined.current()).toMatchObject({ farm: rival.farmId, farmer: { id: rival.id } });
});

test('what its boot media know of the farmer is not undone by older documents', async () => {
  using start = makeStart();
  const owner = makeOwner('owner');
  const change = { sealingKeys: [toBase64(makeOwner('fresh').keys.sealing.publicKey)] };
  const changed = bundleOf(changeIdentity(owner.chain, change, owner.recovery));
  const { id, keys } = owner;
  const by = (document: IdentityBundle): Registered =>
    told({ id, farmId: 'cd'.repeat(32), keys, document });
  await (await start.open()).hear(by(bundleOf(owner.chain)));
  const home = await start.open({ farmer: changed });
  expect(home.current()).toBeUndefined();
  await home.hear(by(changed));
  expect(home.current()?.farmer.chain).toHaveLength(2);
  expect(start.bad).toEqual(['stored approval: IDENTITY_OLD']);
});

const TERMS = { version: 1, location: null, payout: null };
const DEARER = { ...PRICES, computeHourMicros: 99_000 };

test('an approved node does what its farmer signs, and goes by it before a directory is there', async () => {
  const { directory, farmer: owner } = await openGrid();
  await using _directory = directory;
  await using agent = await startApproved({ directory, farmer: owner });
  const { client } = directory;
  const { id } = agent.self.identity;
  const farm = { grid: GRID, farm: owner.farmId, farmer: owner.id };
  await client.putTerms(
    owner.farmId,
    signTerms({ ...farm, ...TERMS, prices: DEARER }, owner.keys.signing),
  );
  const what = { node: id, serial: 'NOBODYS', do: 'wipe', nonce: 'cd'.repeat(16) } as const;
  const consent = { ...farm, ...what, notAfterMs: directory.clock.nowMs + HOUR_MS };
  await client.putDiskConsent(owner.farmId, signConsent(consent, owner.keys.signing));
  await until(
    () => agent.lines,
    (lines) =>
      lines.includes('consent to wipe disk NOBODYS waits: no disk has the serial number NOBODYS'),
    () => agent.lines.join('\n'),
  );
  await until(
    () => agent.offer.offer,
    ({ version, prices }) => version === 2 && prices.computeHourMicros === 99_000,
    () => agent.lines.join('\n'),
  );
  await agent.stop();
  await using again = await startAgent({ directory, farmer: owner, before: agent });
  expect(again.offer.id).toBe(agent.offer.id);
});
