import { mkdir } from 'node:fs/promises';
import { type Identity, signIdentity, verifyIdentity } from '../../identity/document.ts';
import { type Envelope, parseEnvelope } from '../../identity/envelope.ts';
import {
  decodeSecretKeys,
  encodeSecretKeys,
  makeSecretKeys,
  type SecretKeys,
} from '../../identity/keys.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';

/** Who this node is. */
export type Self = {
  readonly identity: Identity;
  readonly document: Envelope;
  readonly keys: SecretKeys;
  readonly isNew: boolean;
};

const FILE_BYTES_MAX = 16 * KiB;

/**
 * The node's identity, made here when there is none: its keys never leave the machine. Whoever
 * reads the folder is the node, so its files are for root alone; they are not sealed yet.
 */
export async function openSelf(folder: string): Promise<Self> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyPath = `${folder}/key.json`;
  const documentPath = `${folder}/identity.json`;
  const keyText = await readText(keyPath, FILE_BYTES_MAX);
  const documentText = await readText(documentPath, FILE_BYTES_MAX);
  if (keyText !== undefined && documentText !== undefined) {
    const document = parseEnvelope(utf8(documentText));
    const keys = decodeSecretKeys(keyText);
    return { identity: verifyIdentity(document), document, keys, isNew: false };
  }
  const keys = makeSecretKeys();
  const document = signIdentity('node', keys);
  await writeDurably({ path: documentPath, bytes: JSON.stringify(document) });
  // The key last: with it the identity is complete, and is never made again.
  await writeDurably({ path: keyPath, bytes: encodeSecretKeys(keys) });
  return { identity: verifyIdentity(document), document, keys, isNew: true };
}
