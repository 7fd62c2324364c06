import { expect, test } from 'vitest';
import { OWNER_NAMES_MAX } from '../../../src/directory/phonebook/names.ts';
import { type Claim } from '../../../src/phonebook/spec.ts';
import { signClaim } from '../../../src/phonebook/name.ts';
import { GRID, makePerson, type Person } from '../../support/contracts.ts';
import { openDirectory } from '../../support/directory.ts';

const [alice, bob] = [makePerson('alice'), makePerson('bob')];

function bodyOf(person: Person, changes: Partial<Claim> = {}) {
  const base = { grid: GRID, name: 'shop', owner: person.id, version: 1, previous: null };
  const claim = signClaim({ ...base, state: 'held', ...changes }, person.keys.signing);
  return { claim, owner: person.document };
}

const code = (text: string) => expect.objectContaining({ code: text });

test('the first claim counts, is found whole, and sent again changes nothing', async () => {
  await using directory = await openDirectory();
  const { client } = directory;
  const body = bodyOf(alice);
  const { digest } = await client.putName(body);
  expect(await client.putName(body)).toEqual({ digest });
  await expect(client.putName(bodyOf(bob))).rejects.toEqual(code('NAME_TAKEN'));
  expect(await client.name('shop')).toEqual({ name: 'shop', claims: [body] });
  expect(await client.identity(alice.id)).toEqual(alice.document);
  await expect(client.name('other')).rejects.toEqual(code('NOT_FOUND'));
  const names = [{ name: 'shop', owner: alice.id, version: 1 }];
  expect((await client.names()).items).toEqual(names);
  expect((await client.names({ owner: bob.id })).items).toEqual([]);
});

test('a name that was given up can be claimed, and its whole way is shown', async () => {
  await using directory = await openDirectory();
  const { client } = directory;
  const first = bodyOf(alice);
  const one = await client.putName(first);
  const given = bodyOf(alice, { version: 2, previous: one.digest, state: 'released' });
  const two = await client.putName(given);
  expect((await client.names()).items).toEqual([]);
  const next = bodyOf(bob, { version: 3, previous: two.digest });
  await client.putName(next);
  expect((await client.name('shop')).claims).toEqual([first, given, next]);
});

test('of many who claim one name at once, one has it', async () => {
  await using directory = await openDirectory();
  const people = Array.from({ length: 8 }, () => makePerson('someone'));
  const claims = people.map(async (person) => directory.client.putName(bodyOf(person)));
  const settled = await Promise.allSettled(claims);
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect((await directory.client.name('shop')).claims).toHaveLength(1);
});

test('an identity holds so many names and no more, and they page by cursor', async () => {
  await using directory = await openDirectory();
  const { client } = directory;
  const names = Array.from({ length: OWNER_NAMES_MAX }, (_, index) => `name-${index}`);
  for (const name of names) await client.putName(bodyOf(alice, { name }));
  const more = client.putName(bodyOf(alice, { name: 'more' }));
  await expect(more).rejects.toEqual(code('NAMES_MANY'));
  await client.putName(bodyOf(bob, { name: 'more' }));
  const found: string[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof client.names>> = await client.names({
      owner: alice.id,
      cursor,
      limit: 5,
    });
    found.push(...page.items.map(({ name }) => name));
    cursor = page.next;
  }
  expect(found).toEqual(names);
});

test('a claim that was not signed by its owner, or for another grid, changes nothing', async () => {
  await using directory = await openDirectory();
  const { client } = directory;
  const forged = { ...bodyOf(alice), owner: bob.document };
  await expect(client.putName(forged)).rejects.toEqual(code('ENVELOPE_UNTRUSTED'));
  const foreign = client.putName(bodyOf(alice, { grid: 'else' }));
  await expect(foreign).rejects.toEqual(code('NAME_FOREIGN'));
  expect((await client.names()).items).toEqual([]);
});
