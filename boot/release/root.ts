import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Key, Metadata, MetadataKind, Root } from '@tufjs/models';
import { Role } from '@tufjs/models/dist/role.js';
import { DAY_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import { publishFile } from './file.ts';
import {
  expiry,
  makeKey,
  makeKeys,
  parseRoot,
  readKey,
  ROLES,
  type RoleName,
  ROOT_THRESHOLD,
  signMetadata,
  SPECIFICATION,
} from './keys.ts';

const ROOT_LIFETIME_MS = 5 * 365 * DAY_MS;
const ROOTS = 'roots';
const PROPOSED = 'proposed.root.json';

/** Where a proposed root waits for its signatures; it holds no secret, and can be carried about. */
export function proposalPathOf(keysPath: string): string {
  return join(keysPath, PROPOSED);
}

/**
 * The bytes of the newest `root.json`: which keys sign a release. The first one is made once, with
 * keys that are all here; from then on it changes by `proposeRoot`, and images that carry an older
 * one follow from root to root. Throws `BootError`.
 */
export async function ensureRoot(wish: {
  readonly keysPath: string;
  readonly nowMs: number;
}): Promise<Uint8Array> {
  const { keysPath, nowMs } = wish;
  const path = join(keysPath, 'root.json');
  const present = await readFile(path).catch(() => undefined);
  if (present !== undefined) {
    const { signed } = parseRoot(present, path);
    if ((signed.roles['root']?.threshold ?? 0) >= ROOT_THRESHOLD) return new Uint8Array(present);
    throw new BootError(
      'KEY_DAMAGED',
      `${path} is of a time when one key signed for the root; remove ${keysPath}, and build the ` +
        'image anew.',
    );
  }
  const keys = await makeKeys(keysPath);
  const all = ROLES.flatMap((role) => keys[role].map(({ key }): [string, Key] => [key.keyID, key]));
  const roles = ROLES.map((role): [RoleName, Role] => {
    const threshold = role === 'root' ? ROOT_THRESHOLD : 1;
    return [role, new Role({ keyIDs: keys[role].map(({ key }) => key.keyID), threshold })];
  });
  const root = new Root({
    version: 1,
    specVersion: SPECIFICATION,
    expires: expiry(nowMs, ROOT_LIFETIME_MS),
    consistentSnapshot: false,
    keys: Object.fromEntries(all),
    roles: Object.fromEntries(roles),
  });
  const bytes = signMetadata(new Metadata(root), ...keys.root.slice(0, ROOT_THRESHOLD));
  await keepRoot(keysPath, { version: 1, bytes });
  return bytes;
}

/** Every root there was, from the first to the newest. */
export async function readRoots(keysPath: string): Promise<readonly Metadata<Root>[]> {
  const files = await readRootFiles(keysPath);
  return files.map(({ name, bytes }) => parseRoot(bytes, name));
}

/** As `readRoots`, as files for a release. */
export async function readRootFiles(
  keysPath: string,
): Promise<readonly { readonly name: string; readonly bytes: Uint8Array }[]> {
  const names: string[] = await readdir(join(keysPath, ROOTS)).catch(() => []);
  const versions = names
    .flatMap((name) => /^([1-9]\d{0,5})\.root\.json$/u.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
  return Promise.all(
    versions.map(async (version) => {
      const name = `${version}.root.json`;
      return { name, bytes: new Uint8Array(await readFile(join(keysPath, ROOTS, name))) };
    }),
  );
}

export type Rotation = {
  readonly keysPath: string;
  readonly role: RoleName;
  /** The key that comes: given by its holder, or made here when there is none. */
  readonly key?: Key;
  /** The id of the key that goes; none where the role has one key only. */
  readonly insteadOf?: string;
  readonly nowMs: number;
};

/**
 * Proposes the root that follows: one key of one role is another. Several rotations before it is
 * published are one proposal. Nothing changes for anybody until it is signed and accepted.
 */
export async function proposeRoot(rotation: Rotation): Promise<Proposal> {
  const { keysPath, role, nowMs } = rotation;
  const newest = await newestRoot(keysPath);
  const before = await readProposal(proposalPathOf(keysPath)).catch(() => undefined);
  const version = newest.signed.version + 1;
  const base = before?.signed.version === version ? before.signed : newest.signed;
  const goes = goingKey(base, rotation);
  const made = join(keysPath, `${role}-v${version}-${goes.slice(0, 8)}.key`);
  const comes = rotation.key ?? (await makeKey(made)).key;
  const keys: Record<string, Key> = { ...base.keys, [comes.keyID]: comes };
  const roles = ROLES.map((name): [RoleName, Role] => {
    const { keyIDs = [], threshold = 1 } = base.roles[name] ?? {};
    const swap = (id: string): string => (name === role && id === goes ? comes.keyID : id);
    return [name, new Role({ keyIDs: [...new Set(keyIDs.map(swap))], threshold })];
  });
  const used = new Set(roles.flatMap(([, { keyIDs }]) => keyIDs));
  const root = new Root({
    version,
    specVersion: SPECIFICATION,
    expires: expiry(nowMs, ROOT_LIFETIME_MS),
    consistentSnapshot: false,
    keys: Object.fromEntries(Object.entries(keys).filter(([id]) => used.has(id))),
    roles: Object.fromEntries(roles),
  });
  const path = proposalPathOf(keysPath);
  const metadata = new Metadata(root);
  await publishFile(path, signMetadata(metadata));
  return proposalOf(path, newest, metadata);
}

/** Adds one key's signature to a proposal; the keys of the root need never be on one machine. */
export async function signProposal(wish: {
  readonly keysPath: string;
  readonly keyPath: string;
}): Promise<Proposal> {
  const path = proposalPathOf(wish.keysPath);
  const [newest, proposed] = [await newestRoot(wish.keysPath), await readProposal(path)];
  const signer = await readKey(wish.keyPath);
  const ids = [newest, proposed].flatMap(({ signed }) => signed.roles['root']?.keyIDs ?? []);
  if (!ids.includes(signer.key.keyID)) {
    throw new BootError(
      'USAGE',
      `${wish.keyPath} is a key of neither the root that is nor the one that is proposed.`,
    );
  }
  await publishFile(path, signMetadata(proposed, signer));
  return proposalOf(path, newest, proposed);
}

/** Makes a proposal the newest root, if there is one; throws `BootError` below a threshold. */
export async function acceptProposal(keysPath: string): Promise<number | undefined> {
  const path = proposalPathOf(keysPath);
  if ((await readFile(path).catch(() => undefined)) === undefined) return undefined;
  const [newest, metadata] = [await newestRoot(keysPath), await readProposal(path)];
  const proposal = proposalOf(path, newest, metadata);
  const { version } = metadata.signed;
  if (version !== newest.signed.version + 1) {
    throw new BootError('KEY_DAMAGED', `${path} follows no root of here; remove it.`);
  }
  const short = [proposal.byOld, proposal.byNew].find(({ has, needs }) => has < needs);
  if (short !== undefined) {
    throw new BootError(
      'ROOT_UNSIGNED',
      `The proposed root ${version} has ${proposal.byOld.has} of ${proposal.byOld.needs} ` +
        `signatures of the keys that were, and ${proposal.byNew.has} of ` +
        `${proposal.byNew.needs} of those that will be; ` +
        'ask each holder for `zos release sign --root-key FILE`, or take it ' +
        `back by removing ${path}.`,
    );
  }
  newest.verifyDelegate(MetadataKind.Root, metadata);
  metadata.verifyDelegate(MetadataKind.Root, metadata);
  await keepRoot(keysPath, { version, bytes: new Uint8Array(await readFile(path)) });
  await rm(path);
  return version;
}

type Count = { readonly has: number; readonly needs: number };

/** A root that waits for signatures. */
export type Proposal = {
  readonly path: string;
  readonly version: number;
  /** Signatures by keys of the root before it, and by its own. */
  readonly byOld: Count;
  readonly byNew: Count;
  /** What is another than before, for the eyes of who signs. */
  readonly changes: readonly string[];
};

function proposalOf(path: string, newest: Metadata<Root>, next: Metadata<Root>): Proposal {
  const changes = ROLES.flatMap((role) => {
    const [old, now] = [newest, next].map(({ signed }) => signed.roles[role]?.keyIDs ?? []);
    const gone = old?.filter((id) => now?.includes(id) === false) ?? [];
    const come = now?.filter((id) => old?.includes(id) === false) ?? [];
    return [...gone.map((id) => `${role} - ${id}`), ...come.map((id) => `${role} + ${id}`)];
  });
  const { version } = next.signed;
  return { path, version, changes, byOld: countOf(newest, next), byNew: countOf(next, next) };
}

/** Signatures that hold, of the keys of one root over another. */
function countOf(by: Metadata<Root>, over: Metadata<Root>): Count {
  const { keyIDs = [], threshold = 0 } = by.signed.roles['root'] ?? {};
  const valid = keyIDs.filter((id) => {
    try {
      by.signed.keys[id]?.verifySignature(over);
      return by.signed.keys[id] !== undefined;
    } catch {
      return false;
    }
  });
  return { has: valid.length, needs: threshold };
}

function goingKey(base: Root, { role, insteadOf }: Rotation): string {
  const ids = base.roles[role]?.keyIDs ?? [];
  const found = insteadOf === undefined ? ids : ids.filter((id) => id.startsWith(insteadOf));
  const [id] = found;
  if (id !== undefined && found.length === 1) return id;
  throw new BootError(
    'USAGE',
    `Say which key of ${role} goes, with --instead-of and the first digits of its id: ` +
      `${ids.join(', ')}.`,
  );
}

async function newestRoot(keysPath: string): Promise<Metadata<Root>> {
  const path = join(keysPath, 'root.json');
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined) {
    throw new BootError('PART_MISSING', `There are no keys yet; make them: zos release keys.`);
  }
  return parseRoot(bytes, path);
}

async function readProposal(path: string): Promise<Metadata<Root>> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new BootError('USAGE', 'No root is proposed; propose one: zos release rotate ROLE.', {
      cause,
    });
  });
  return parseRoot(bytes, path);
}

type Kept = { readonly version: number; readonly bytes: Uint8Array };

async function keepRoot(keysPath: string, { version, bytes }: Kept): Promise<void> {
  await mkdir(join(keysPath, ROOTS), { recursive: true, mode: 0o700 });
  await writeFile(join(keysPath, ROOTS, `${version}.root.json`), bytes);
  await publishFile(join(keysPath, 'root.json'), bytes);
}
