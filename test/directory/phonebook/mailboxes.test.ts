import { expect, test } from 'vitest';
import {
  MAILBOX_MESSAGES_MAX,
  SENDER_MESSAGES_MAX,
} from '../../../src/directory/phonebook/mailboxes.ts';
import { exchange } from '../../../src/host/http.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { MESSAGE_KEPT_MS, openMessage, sealMessage } from '../../../src/phonebook/message.ts';
import { GRID, makePerson, type Person } from '../../support/contracts.ts';
import { openDirectory, type TestDirectory } from '../../support/directory.ts';
import { freshNonce } from '../../support/identity/farm.ts';

const [alice, bob, eve] = [makePerson('alice'), makePerson('bob'), makePerson('eve')];

function signingOf({ keys }: Person, { clock }: TestDirectory) {
  return { grid: GRID, signer: keys.signing, nowMs: () => clock.nowMs };
}

function letterOf([from, to]: readonly [Person, Person], nowMs: number, text = 'hello') {
  const message = { grid: GRID, from: from.id, to: to.id, nonce: freshNonce(), atMs: nowMs, text };
  const recipient = verifyIdentity(to.document);
  const signer = from.keys.signing;
  const sealed = sealMessage({ message, signer, sender: from.document, recipient });
  return { recipient: to.id, sealed, sender: from.document };
}

const code = (text: string) => expect.objectContaining({ code: text });

async function post(directory: TestDirectory, from: Person, text?: string): Promise<void> {
  const letter = letterOf([from, bob], directory.clock.nowMs, text);
  await directory.client.postMessage(signingOf(from, directory), letter);
}

/** The same letter so many times, each time by a request of its own. */
async function fill(directory: TestDirectory, from: Person, times: number): Promise<void> {
  const letter = letterOf([from, bob], directory.clock.nowMs);
  const posts = Array.from({ length: times }, async () =>
    directory.client.postMessage(signingOf(from, directory), letter),
  );
  await Promise.all(posts);
}

test('a message waits for its reader, is read by nobody else, and is gone once read', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  await client.putIdentity(bob.document);
  await post(directory, alice, 'first');
  await post(directory, eve, 'second');
  const reader = signingOf(bob, directory);
  const { items } = await client.messages(reader, bob.id);
  const sealingSecret = bob.keys.sealing.secretKey;
  const read = items.map(({ sealed }) => {
    const bytes = new Uint8Array(Buffer.from(sealed, 'base64'));
    const known = { grid: GRID, id: bob.id, sealingSecret, nowMs: clock.nowMs };
    const { from, text } = openMessage(bytes, known);
    return { from, text };
  });
  expect(read).toEqual([
    { from: alice.id, text: 'first' },
    { from: eve.id, text: 'second' },
  ]);
  const asEve = client.messages(signingOf(eve, directory), bob.id);
  await expect(asEve).rejects.toEqual(code('ENVELOPE_UNTRUSTED'));
  const dropAsEve = client.dropMessages(signingOf(eve, directory), bob.id, 99);
  await expect(dropAsEve).rejects.toEqual(code('ENVELOPE_UNTRUSTED'));
  await client.dropMessages(reader, bob.id, items[0]?.seq ?? 0);
  expect((await client.messages(reader, bob.id)).items).toHaveLength(1);
});

test('what the directory keeps of a message names its reader and a size, and no sender', async () => {
  await using directory = await openDirectory();
  await directory.client.putIdentity(bob.document);
  await post(directory, alice, 'a word that nobody else reads');
  const reader = signingOf(bob, directory);
  const { items } = await directory.client.messages(reader, bob.id);
  const kept = JSON.stringify(items);
  expect(kept).not.toContain(alice.id);
  const sealed = Buffer.from(items[0]?.sealed ?? '', 'base64').toString('latin1');
  expect(sealed).not.toContain('a word');
  // The sender's document was checked, and is not in the phone book for it.
  await expect(directory.client.identity(alice.id)).rejects.toEqual(code('NOT_FOUND'));
});

test('one sender fills its own share of a mailbox, and all together the mailbox', async () => {
  await using directory = await openDirectory();
  await directory.client.putIdentity(bob.document);
  await fill(directory, alice, SENDER_MESSAGES_MAX);
  await expect(post(directory, alice)).rejects.toEqual(code('MAILBOX_FULL'));
  await post(directory, eve);
  const others = MAILBOX_MESSAGES_MAX / SENDER_MESSAGES_MAX - 1;
  for (let other = 0; other < others; other += 1) {
    const most = other === 0 ? SENDER_MESSAGES_MAX - 1 : SENDER_MESSAGES_MAX;
    await fill(directory, makePerson('other'), most);
  }
  await expect(post(directory, makePerson('late'))).rejects.toEqual(code('MAILBOX_FULL'));
  const reader = signingOf(bob, directory);
  const found: number[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof directory.client.messages>> =
      await directory.client.messages(reader, bob.id, { cursor });
    found.push(...page.items.map(({ seq }) => seq));
    cursor = page.next;
  }
  expect(new Set(found).size).toBe(MAILBOX_MESSAGES_MAX);
  await directory.client.dropMessages(reader, bob.id, found.at(-1) ?? 0);
  await post(directory, alice);
}, 120_000);

test('a message that nobody fetches is gone after a week', async () => {
  await using directory = await openDirectory();
  const { client, clock, store } = directory;
  await client.putIdentity(bob.document);
  await post(directory, alice);
  clock.nowMs += MESSAGE_KEPT_MS;
  await store.sweep(clock.nowMs);
  expect((await client.messages(signingOf(bob, directory), bob.id)).items).toEqual([]);
});

test('a letter is refused that is no letter, for nobody, or not what was signed', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  await client.putIdentity(bob.document);
  const signing = signingOf(alice, directory);
  const letter = letterOf([alice, bob], clock.nowMs);
  const short = { ...letter, sealed: letter.sealed.subarray(1) };
  await expect(client.postMessage(signing, short)).rejects.toEqual(code('MESSAGE_SIZE'));
  const stranger = { ...letter, recipient: eve.id };
  await expect(client.postMessage(signing, stranger)).rejects.toEqual(code('NOT_FOUND'));
  const asOther = client.postMessage(signingOf(eve, directory), letter);
  await expect(asOther).rejects.toEqual(code('ENVELOPE_UNTRUSTED'));
  const answer = await exchange({
    url: `${directory.url}/v1/mailboxes/${bob.id}?digest=${'0'.repeat(64)}`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sealed: toBase64(utf8('x')), sender: alice.document }),
  });
  expect(JSON.parse(Buffer.from(answer.body).toString())).toMatchObject({
    code: 'REQUEST_FOREIGN',
  });
  expect((await client.messages(signingOf(bob, directory), bob.id)).items).toEqual([]);
});
