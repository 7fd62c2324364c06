import { mkdir } from 'node:fs/promises';
import nacl from 'tweetnacl';
import { z } from 'zod';
import { type Identity, signIdentity, verifyIdentity } from '../../identity/document.ts';
import { type Envelope, parseEnvelope } from '../../identity/envelope.ts';
import {
  decodeSecretKeys,
  encodeSecretKeys,
  makeSecretKeys,
  type SecretKeys,
} from '../../identity/keys.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { concatBytes, utf8 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';
import { noTpm, type Sealed, type Sealer, sealedSchema, SealError } from '../identity/sealing.ts';

/** Who this node is. */
export type Self = {
  readonly identity: Identity;
  readonly document: Envelope;
  readonly keys: SecretKeys;
  readonly isNew: boolean;
  /** Whether its key lies sealed by the TPM; else whoever reads the disk is the node. */
  readonly isSealed: boolean;
};

const FILE_BYTES_MAX = 16 * KiB;
const KEY_BYTES = 32;

const sealedFile = z.strictObject({ sealed: sealedSchema });

/**
 * The node's identity, made here when there is none: its keys never leave the machine. Where there
 * is a TPM they are sealed before they are written, and who reads the folder has noise; where there
 * is none, whoever reads the folder is the node. Throws `SealError` when they can't be opened here,
 * and then nothing is made anew: the node that the disk belongs to may still be put right.
 */
export async function openSelf(folder: string, sealer?: Sealer): Promise<Self> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyPath = `${folder}/key.json`;
  const documentPath = `${folder}/identity.json`;
  const keyText = await readText(keyPath, FILE_BYTES_MAX);
  const documentText = await readText(documentPath, FILE_BYTES_MAX);
  const isSealed = sealer !== undefined;
  if (keyText !== undefined && documentText !== undefined) {
    const document = parseEnvelope(utf8(documentText));
    const sealed = sealedIn(keyText);
    const keys = sealed === undefined ? decodeSecretKeys(keyText) : await unseal(sealed, sealer);
    const self = { identity: verifyIdentity(document), document, keys, isNew: false, isSealed };
    // Written before there was a TPM, or before Secure Boot was on: from now on it is as good as it
    // can be. What was in the clear on a disk once may be found there.
    const isAsGood = sealed !== undefined && (sealed.boot !== null || !sealer?.isBoundToBoot);
    if (isSealed && !isAsGood) await writeKey(keyPath, keys, sealer);
    return self;
  }
  const keys = makeSecretKeys();
  const document = signIdentity('node', keys);
  await writeDurably({ path: documentPath, bytes: JSON.stringify(document) });
  // The key last: with it the identity is complete, and is never made again.
  await writeKey(keyPath, keys, sealer);
  return { identity: verifyIdentity(document), document, keys, isNew: true, isSealed };
}

async function writeKey(path: string, keys: SecretKeys, sealer: Sealer | undefined): Promise<void> {
  if (sealer === undefined) {
    await writeDurably({ path, bytes: encodeSecretKeys(keys) });
    return;
  }
  const seed = keys.signing.secretKey.subarray(0, KEY_BYTES);
  const secret = concatBytes(seed, keys.sealing.secretKey);
  const sealed = await sealer.seal(secret);
  secret.fill(0);
  await writeDurably({ path, bytes: JSON.stringify({ sealed }) });
}

function sealedIn(text: string): Sealed | undefined {
  if (!text.startsWith('{"sealed"')) return undefined;
  const read = sealedFile.safeParse(parsed(text));
  if (read.success) return read.data.sealed;
  throw unreadable();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function unseal(sealed: Sealed, sealer: Sealer | undefined): Promise<SecretKeys> {
  if (sealer === undefined) throw noTpm();
  const secret = await sealer.open(sealed);
  if (secret.length !== 2 * KEY_BYTES) throw unreadable();
  return {
    signing: nacl.sign.keyPair.fromSeed(secret.subarray(0, KEY_BYTES)),
    sealing: nacl.box.keyPair.fromSecretKey(secret.subarray(KEY_BYTES)),
  };
}

function unreadable(): SealError {
  return new SealError('KEY_UNREADABLE', 'The sealed key on the disk is damaged.');
}
