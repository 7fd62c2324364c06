import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { contractDigest } from '../../../src/contract/sign.ts';
import { openLogKey } from '../../../src/directory/keys.ts';
import { noteKeyOf } from '../../../src/record/note.ts';
import { GRID, makePerson } from '../contracts.ts';
import { joinNode, openDirectory, type TestDirectory } from '../directory.ts';
import { contractFor, makeFarmer } from '../identity/farm.ts';
import { WITNESSES } from './signers.ts';
import { openWitness, type WitnessServer } from './witness-server.ts';

/** Who signs the contracts here. */
export const tenant = makePerson('tenant');

/** A directory's folder, and who watches its log. */
export type Setting = { readonly folder: string; readonly witnesses: readonly WitnessServer[] };

/** A folder that a directory may be opened in again, and three witnesses that watch its log. */
export async function openSetting(): Promise<Setting> {
  const folder = mkdtempSync(join(tmpdir(), 'zos-record-'));
  const { name, publicKey } = openLogKey(folder, GRID);
  const key = noteKeyOf(name, 'ed25519', publicKey);
  const witnesses = await Promise.all(WITNESSES.map(async (signer) => openWitness(signer, key)));
  onTestFinished(async () => {
    for (const witness of witnesses) await witness[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  return { folder, witnesses };
}

/** The directory of that folder, with its witnesses. */
export async function openIn({ folder, witnesses }: Setting): Promise<TestDirectory> {
  const directory = await openDirectory({ folder, witnesses: witnesses.map(({ wish }) => wish) });
  await directory.record.seen;
  return directory;
}

/** Joins a node to a directory, and closes it again. */
export async function joinOnce(open: () => Promise<TestDirectory>) {
  await using directory = await open();
  const node = await joinNode(directory, makeFarmer());
  await directory.settled();
  return node;
}

/** A new contract of the tenant's, and its digest. */
export async function submit(directory: TestDirectory, node: { id: string; offerId: string }) {
  const carried = contractFor(tenant, node);
  await directory.client.submitContract(carried);
  return { ...carried, digest: contractDigest(carried.contract) };
}
