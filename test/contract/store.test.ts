import { mkdtempSync } from 'node:fs';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openContractStore } from '../../src/contract/store.ts';
import { carry, makeContract, makePerson } from '../support/contracts.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zos-store-'));
});
afterEach(async () => rm(folder, { recursive: true }));

const tenant = makePerson('tenant');
const { contract: signed, tenant: signer } = carry(tenant, makeContract(tenant));
const NAME = 'ab'.repeat(32);
const BOTH = `${NAME}-${'cd'.repeat(32)}`;

test('what was put is there again for who opens the folder anew, readable by root alone', async () => {
  const store = await openContractStore(folder);
  await store.put({ kind: 'contract', name: NAME }, { signed, signer });
  await store.put({ kind: 'cancellation', name: BOTH }, { signed, signer });
  await store.put({ kind: 'peer', name: BOTH }, { signed, signer });
  const { kept, damaged } = await (await openContractStore(folder)).load();
  expect(damaged).toEqual([]);
  expect(kept).toEqual([
    { kind: 'cancellation', name: BOTH, signed, signer },
    { kind: 'contract', name: NAME, signed, signer },
    { kind: 'peer', name: BOTH, signed, signer },
  ]);
  const { mode } = await stat(join(folder, `contract-${NAME}.json`));
  expect(mode & 0o777).toBe(0o600);
});

test('a second put takes the place of the first, and what is removed is gone', async () => {
  const store = await openContractStore(folder);
  const other = carry(tenant, makeContract(tenant, { nonce: '1'.repeat(32) })).contract;
  await store.put({ kind: 'contract', name: NAME }, { signed, signer });
  await store.put({ kind: 'contract', name: NAME }, { signed: other, signer });
  expect((await store.load()).kept).toMatchObject([{ signed: other }]);
  await store.remove({ kind: 'contract', name: NAME });
  await store.remove({ kind: 'contract', name: NAME });
  expect(await readdir(folder)).toEqual([]);
});

test.each([
  ['cut off by a lost write', JSON.stringify({ signed, signer }).slice(0, -9)],
  ['not JSON', 'hello'],
  ['empty', ''],
  ['of another form', JSON.stringify({ signed })],
  ['with a key more', JSON.stringify({ signed, signer, extra: 1 })],
  ['with a key twice', `{"signed":1,${JSON.stringify({ signed, signer }).slice(1)}`],
  ['longer than allowed', ' '.repeat(2 * 1024 * 1024)],
])('a file that is %s is named and left, and costs no other', async (_what, text) => {
  const store = await openContractStore(folder);
  await store.put({ kind: 'contract', name: NAME }, { signed, signer });
  const bad = `contract-${'ef'.repeat(32)}.json`;
  await writeFile(join(folder, bad), text);
  const { kept, damaged } = await store.load();
  expect(kept.map(({ name }) => name)).toEqual([NAME]);
  expect(damaged).toEqual([bad]);
  expect(await readdir(folder)).toContain(bad);
});

test('a write that lost its power half way is no contract', async () => {
  const store = await openContractStore(folder);
  await writeFile(join(folder, `contract-${NAME}.json.part`), '{"sig');
  await writeFile(join(folder, 'notes.txt'), 'hello');
  expect(await store.load()).toEqual({ kept: [], damaged: [] });
});

test('a private body lies apart, and a contract is there without it when it is gone', async () => {
  const bodies = join(folder, 'bodies');
  const contracts = join(folder, 'contracts');
  const store = await openContractStore(contracts, bodies);
  const file = { kind: 'contract', name: NAME } as const;
  await store.put(file, { signed, signer, body: 'c2VhbGVk' });
  expect((await store.load()).kept).toEqual([{ ...file, signed, signer, body: 'c2VhbGVk' }]);
  const names = await readdir(contracts);
  expect(names).toEqual([`contract-${NAME}.json`]);
  expect(await readFile(join(contracts, names[0] ?? ''), 'utf8')).not.toContain('c2VhbGVk');
  // As after a boot, where the bodies lay in memory.
  await rm(bodies, { recursive: true });
  expect((await store.load()).kept).toEqual([{ ...file, signed, signer }]);
  await store.remove(file);
  expect(await readdir(contracts)).toEqual([]);
});
