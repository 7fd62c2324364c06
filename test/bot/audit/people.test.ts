import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import nacl from 'tweetnacl';
import { expect, onTestFinished, test } from 'vitest';
import { EXIT } from '../../../src/bot/errors.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import type { Envelope, Signer } from '../../../src/identity/envelope.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { beginIdentity, changeIdentity, undoChanges } from '../../../src/identity/operation.ts';
import { toBase64 } from '../../../src/lib/bytes.ts';
import { signClaim } from '../../../src/phonebook/name.ts';
import { signContract } from '../../../src/contract/sign.ts';
import { GRID, makeContract, makePerson, NODE_ID } from '../../support/contracts.ts';
import { type LyingDirectory, openLyingDirectory } from '../../support/watch/lying-directory.ts';
import { zos } from '../support/captured-terminal.ts';

type Said = { readonly alarms: readonly { readonly code: string }[] };
type Story = { readonly directory: LyingDirectory; readonly look: () => Promise<string[]> };

/** A directory, and a monitor that looks at what is on the record by now. */
async function openStory(): Promise<Story> {
  const directory = await openLyingDirectory();
  onTestFinished(async () => directory[Symbol.asyncDispose]());
  const homePath = mkdtempSync(join(tmpdir(), 'zos-audit-'));
  const look = async (): Promise<string[]> => {
    directory.publish();
    const ran = await zos({ homePath, directoryUrl: directory.url }, '--json', 'record', 'audit');
    const { alarms } = JSON.parse(ran.out) as Said;
    expect(ran.code).toBe(alarms.length === 0 ? EXIT.done : EXIT.alarm);
    return alarms.map(({ code }) => code);
  };
  return { directory, look };
}

/** Somebody whose keys can change, with words that rank above everything. */
function makeChanging() {
  const recovery: Signer = nacl.sign.keyPair();
  const keys = { ...makeSecretKeys(), rotation: nacl.sign.keyPair() };
  const first = beginIdentity({ name: 'ada', keys, recoveryKey: recovery.publicKey });
  return { recovery, keys, first, id: verifyIdentity(first).id };
}

/** A contract of that tenant, signed by this key. */
function contractBy(id: string, signer: Signer, nonce: string): Envelope {
  const contract = makeContract({ ...makePerson('other'), id }, { nonce: nonce.repeat(32) });
  return signContract(contract, signer);
}

test('who changes keys is followed: the old key signs nothing more, the new one does', async () => {
  const { directory, look } = await openStory();
  const { keys, first, id } = makeChanging();
  const fresh = nacl.sign.keyPair();
  directory.add(first);
  directory.add(contractBy(id, keys.signing, '1'), { node: NODE_ID, seq: 1 });
  const change = { signingKeys: [toBase64(fresh.publicKey)] };
  const [, second = first] = changeIdentity([first], change, keys.rotation);
  directory.add(second);
  directory.add(contractBy(id, fresh, '2'), { node: NODE_ID, seq: 2 });
  expect(await look()).toEqual([]);
  directory.add(contractBy(id, keys.signing, '3'), { node: NODE_ID, seq: 3 });
  expect(await look()).toEqual(['ENVELOPE_UNTRUSTED']);
});

test('a key in the place of another, and a change that no higher key signed, are alarms', async () => {
  const { directory, look } = await openStory();
  const { recovery, keys, first } = makeChanging();
  directory.add(first);
  const [, second = first] = changeIdentity([first], { name: 'ada.two' }, keys.rotation);
  directory.add(second);
  expect(await look()).toEqual([]);
  // A higher key undoes what a lower one signed; afterwards the lower one can not come back.
  const undone = undoChanges([first, second], { from: 1 }, recovery);
  directory.add(undone[1] ?? first);
  expect(await look()).toEqual([]);
  const [, rival = first] = changeIdentity([first], { name: 'ada.evil' }, keys.rotation);
  directory.add(rival);
  expect(await look()).toEqual(['IDENTITY_FORKED']);
  const thief = nacl.sign.keyPair();
  const [, swapped = first] = changeIdentity([first], { name: 'ada.evil' }, thief);
  directory.add(swapped);
  expect(await look()).toEqual(['IDENTITY_FORKED', 'IDENTITY_UNTRUSTED']);
});

test('a name that goes to another, on the record or in the phone book alone, is an alarm', async () => {
  const { directory, look } = await openStory();
  const ada = makePerson('ada');
  const eve = makePerson('eve');
  directory.add(ada.document);
  directory.add(eve.document);
  const claim = { grid: GRID, name: 'ada', version: 1, previous: null, state: 'held' } as const;
  directory.add(signClaim({ ...claim, owner: ada.id }, ada.keys.signing));
  directory.names.push({ name: 'ada', owner: ada.id, version: 1 });
  expect(await look()).toEqual([]);
  directory.names[0] = { name: 'ada', owner: eve.id, version: 1 };
  expect(await look()).toEqual(['NAME_SWAPPED']);
  directory.names[0] = { name: 'ada', owner: ada.id, version: 1 };
  directory.add(signClaim({ ...claim, owner: eve.id }, eve.keys.signing));
  expect(await look()).toEqual(['NAME_TAKEN']);
});
