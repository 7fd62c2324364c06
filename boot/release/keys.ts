import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Key, Metadata, Root, Signature } from '@tufjs/models';
import nacl from 'tweetnacl';
import { fromBase64, sha256Hex, toBase64, toHex, utf8 } from '../../src/lib/bytes.ts';
import { DAY_MS, SECOND_MS } from '../../src/lib/units.ts';
import { signMessage } from '../../src/identity/ed25519.ts';
import { BootError } from '../errors.ts';

/** The roles of The Update Framework; whoever holds a role's key can do what the role does. */
export const ROLES = ['root', 'targets', 'snapshot', 'timestamp'] as const;
export type RoleName = (typeof ROLES)[number];

const ROOT_LIFETIME_MS = 5 * 365 * DAY_MS;

export type RoleKey = {
  readonly key: Key;
  readonly sign: (covered: Uint8Array) => Signature;
};
export type RoleKeys = Readonly<Record<RoleName, RoleKey>>;

/**
 * The signing keys below `keysPath`, made on first use, mode 0600. Who reads the root's key can
 * make every node that trusts this root run anything.
 */
export async function ensureKeys(keysPath: string): Promise<RoleKeys> {
  await mkdir(keysPath, { recursive: true, mode: 0o700 });
  const entries: [RoleName, RoleKey][] = [];
  for (const role of ROLES) entries.push([role, await ensureKey(join(keysPath, `${role}.key`))]);
  return Object.fromEntries(entries) as Record<RoleName, RoleKey>;
}

async function ensureKey(path: string): Promise<RoleKey> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const seed =
    text === undefined ? nacl.randomBytes(nacl.sign.seedLength) : fromBase64(text.trim());
  if (seed?.length !== nacl.sign.seedLength) {
    throw new BootError('KEY_DAMAGED', `${path} is damaged; restore it from your backup.`);
  }
  if (text === undefined) await writeFile(path, `${toBase64(seed)}\n`, { mode: 0o600, flag: 'wx' });
  const pair = nacl.sign.keyPair.fromSeed(seed);
  const form = { keyType: 'ed25519', scheme: 'ed25519', keyVal: { public: toHex(pair.publicKey) } };
  // In canonical order, as the specification names keys (section 4.2).
  const named = { keytype: form.keyType, keyval: form.keyVal, scheme: form.scheme };
  const keyID = sha256Hex(utf8(JSON.stringify(named)));
  return {
    key: new Key({ ...form, keyID }),
    sign: (covered) => new Signature({ keyID, sig: toHex(signMessage(covered, pair.secretKey)) }),
  };
}

/**
 * The bytes of `root.json` in `keysPath`: which keys sign a release. Made once and kept, because
 * images carry it: an image boots only releases that this root vouches for.
 */
export async function ensureRoot(wish: {
  readonly keysPath: string;
  readonly nowMs: number;
}): Promise<Uint8Array> {
  const path = join(wish.keysPath, 'root.json');
  const present = await readFile(path).catch(() => undefined);
  if (present !== undefined) return new Uint8Array(present);
  const keys = await ensureKeys(wish.keysPath);
  const root = new Root({
    version: 1,
    specVersion: SPECIFICATION,
    expires: expiry(wish.nowMs, ROOT_LIFETIME_MS),
    consistentSnapshot: false,
  });
  for (const role of ROLES) root.addKey(keys[role].key, role);
  const bytes = signMetadata(new Metadata(root), keys.root);
  await writeFile(path, bytes);
  return bytes;
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
  for (const key of keys) metadata.sign((covered) => key.sign(covered));
  return utf8(JSON.stringify(metadata.toJSON()));
}
