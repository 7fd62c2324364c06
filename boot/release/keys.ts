import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Key, Metadata, MetadataKind, type Root, Signature } from '@tufjs/models';
import nacl from 'tweetnacl';
import { fromBase64, fromHex, sha256Hex, toBase64, toHex, utf8 } from '../../src/lib/bytes.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { signMessage } from '../../src/identity/ed25519.ts';
import { BootError } from '../errors.ts';

/** The roles of The Update Framework; whoever holds a role's key can do what the role does. */
export const ROLES = ['root', 'targets', 'snapshot', 'timestamp'] as const;
export type RoleName = (typeof ROLES)[number];

/** The keys of the root are many, and most of them elsewhere: any two of the three sign. */
export const ROOT_KEYS = ['root-1', 'root-2', 'root-3'] as const;
export const ROOT_THRESHOLD = 2;

export type RoleKey = {
  readonly key: Key;
  readonly sign: (covered: Uint8Array) => Signature;
};

/** Keys of this program; other files in the folder have other forms. */
const KEY_FILE = /^(?:root|targets|snapshot|timestamp)[a-z0-9-]*\.key$/u;

/** A new key in a file of its own, mode 0600, with its public half beside it; throws when it is. */
export async function makeKey(path: string): Promise<RoleKey> {
  const seed = nacl.randomBytes(nacl.sign.seedLength);
  try {
    await writeFile(path, `${toBase64(seed)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw new BootError('USAGE', `${path} can't be made; name a file that is not there.`, {
      cause,
    });
  }
  const made = keyOf(seed);
  await writeFile(`${path.replace(/\.key$/u, '')}.pub`, `${made.key.keyVal.public}\n`);
  return made;
}

/** A secret key out of its file; throws `BootError` without a word of what it held. */
export async function readKey(path: string): Promise<RoleKey> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BootError('USAGE', `${path} can't be read; name the file of a key.`, { cause });
  });
  const seed = fromBase64(text.trim());
  if (seed?.length !== nacl.sign.seedLength) {
    throw new BootError('KEY_DAMAGED', `${path} is damaged; restore it from your backup.`);
  }
  return keyOf(seed);
}

/** A public key out of its file: what the holder of the secret half gives away. */
export async function readPublicKey(path: string): Promise<Key> {
  const text = await readFile(path, 'utf8').catch(() => '');
  if (fromHex(text.trim())?.length === nacl.sign.publicKeyLength) return publicKey(text.trim());
  throw new BootError('USAGE', `${path} is no public key: one line of 64 hex digits.`);
}

/** The secret keys in a folder that may sign for a role, in the order of their names. */
export async function signersOf(
  keysPath: string,
  root: Root,
  role: RoleName,
): Promise<readonly RoleKey[]> {
  const names: string[] = await readdir(keysPath).catch(() => []);
  const paths = names.filter((name) => KEY_FILE.test(name)).toSorted();
  const keys = await Promise.all(paths.map(async (name) => readKey(join(keysPath, name))));
  const allowed = new Set(root.roles[role]?.keyIDs);
  return keys.filter(({ key }) => allowed.has(key.keyID));
}

/** All keys of a new release: three of the root, one for each of the other roles. */
export async function makeKeys(keysPath: string): Promise<Readonly<Record<RoleName, RoleKey[]>>> {
  await mkdir(keysPath, { recursive: true, mode: 0o700 });
  const make = async (name: string): Promise<RoleKey> => makeKey(join(keysPath, `${name}.key`));
  const root: RoleKey[] = [];
  for (const name of ROOT_KEYS) root.push(await make(name));
  return {
    root,
    targets: [await make('targets')],
    snapshot: [await make('snapshot')],
    timestamp: [await make('timestamp')],
  };
}

function keyOf(seed: Uint8Array): RoleKey {
  const pair = nacl.sign.keyPair.fromSeed(seed);
  const key = publicKey(toHex(pair.publicKey));
  const sign = (covered: Uint8Array): Signature =>
    new Signature({ keyID: key.keyID, sig: toHex(signMessage(covered, pair.secretKey)) });
  return { key, sign };
}

function publicKey(hex: string): Key {
  const form = { keyType: 'ed25519', scheme: 'ed25519', keyVal: { public: hex } };
  // In canonical order, as the specification names keys (section 4.2).
  const named = { keytype: form.keyType, keyval: form.keyVal, scheme: form.scheme };
  return new Key({ ...form, keyID: sha256Hex(utf8(JSON.stringify(named))) });
}

export const SPECIFICATION = '1.0.31';

/** A moment as the specification writes it (section 4.2.1): whole seconds, UTC. */
export function expiry(nowMs: number, lifetimeMs: number): string {
  const seconds = Math.floor((nowMs + lifetimeMs) / SECOND_MS);
  return new Date(seconds * SECOND_MS).toISOString().replace('.000Z', 'Z');
}

/** Signed metadata as it is published: one line, so that no byte of it is without meaning. */
export function signMetadata(
  metadata: Pick<Metadata<Root>, 'sign' | 'toJSON'>,
  ...keys: readonly RoleKey[]
): Uint8Array {
  for (const key of keys) metadata.sign((covered) => key.sign(covered), true);
  return utf8(JSON.stringify(metadata.toJSON()));
}

/** A root.json of ours, read back; throws `BootError`. */
export function parseRoot(bytes: Uint8Array, path: string): Metadata<Root> {
  try {
    return Metadata.fromJSON(MetadataKind.Root, JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw new BootError('KEY_DAMAGED', `${path} is no root.json; restore it from your backup.`, {
      cause,
    });
  }
}
