import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRoot, type RoleKey, type RoleName, signersOf } from '../../../boot/release/keys.ts';
import { signRelease } from '../../../boot/release/metadata.ts';
import { ensureRoot } from '../../../boot/release/root.ts';
import { sha256Hex, utf8 } from '../../../src/lib/bytes.ts';
import { canonicalize } from './canonical-json.ts';

export type TestRelease = AsyncDisposable & {
  readonly folder: string;
  readonly releasePath: string;
  readonly keysPath: string;
  readonly firstStagePath: string;
  readonly root: Uint8Array;
  readonly system: Buffer;
};

const KIB = 1024;

/** Bytes that look like chance and are the same every time. */
export function noise(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = seed >>> 0;
  for (let at = 0; at < lengthBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A small release, properly signed: the first stage holds the middle of `system.erofs`. */
export async function makeRelease(nowMs: number, grid = 'test'): Promise<TestRelease> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-release-'));
  const releasePath = join(folder, 'release');
  const keysPath = join(folder, 'keys');
  const firstStagePath = join(folder, 'first.erofs');
  await mkdir(releasePath);
  const shared = noise(128 * KIB, 1);
  const system = Buffer.concat([noise(64 * KIB, 2), shared, noise(60 * KIB + 17, 3)]);
  await writeFile(firstStagePath, Buffer.concat([noise(32 * KIB, 4), shared]));
  await writeFile(join(releasePath, 'vmlinuz'), noise(1000, 5));
  await writeFile(join(releasePath, 'initramfs.cpio'), noise(2000, 6));
  await writeFile(join(releasePath, 'system.erofs'), system);
  const directory = { urls: ['http://127.0.0.1:1'], identity: 'a'.repeat(64) };
  const record = { policy: 'quorum none\n' };
  await writeFile(join(releasePath, 'grid.json'), JSON.stringify({ grid, directory, record }));
  await signRelease({ releasePath, keysPath, firstStagePath, nowMs });
  const root = await ensureRoot({ keysPath, nowMs });
  const remove = async (): Promise<void> => rm(folder, { recursive: true, force: true });
  return {
    folder,
    releasePath,
    keysPath,
    firstStagePath,
    root,
    system,
    [Symbol.asyncDispose]: remove,
  };
}

type Json = Record<string, unknown>;
type Edit = (signed: Json) => void;

const CHAIN = ['targets', 'snapshot', 'timestamp'] as const;

/**
 * Changes what a role says and signs it again with that role's key, or with another's, and whatever
 * names it by hash after it: as somebody would who holds the keys.
 */
export async function resign(
  release: TestRelease,
  edits: Partial<Record<(typeof CHAIN)[number], Edit>>,
  signer: Partial<Record<RoleName, RoleName>> = {},
): Promise<void> {
  let below: { name: string; bytes: Uint8Array; version: unknown } | undefined;
  for (const role of CHAIN) {
    const path = join(release.releasePath, `metadata/${role}.json`);
    const { signed } = JSON.parse(await readFile(path, 'utf8')) as { signed: Json };
    if (below !== undefined) {
      const { name, bytes, version } = below;
      const entry = { version, length: bytes.length, hashes: { sha256: sha256Hex(bytes) } };
      signed['meta'] = { [name]: entry };
    }
    edits[role]?.(signed);
    const signatures = await signaturesOf(release, [signer[role] ?? role], signed);
    const bytes = utf8(JSON.stringify({ signatures, signed }));
    await writeFile(path, bytes);
    below = { name: `${role}.json`, bytes, version: signed['version'] };
  }
}

/** A root that follows the first: version 2, changed by `edit`, signed by the roots' keys. */
export async function writeNextRoot(
  release: TestRelease,
  edit: Edit = () => {},
  signers: readonly RoleName[] = ['root'],
): Promise<void> {
  const { signed } = JSON.parse(Buffer.from(release.root).toString()) as { signed: Json };
  signed['version'] = 2;
  edit(signed);
  const signatures = await signaturesOf(release, signers, signed);
  const path = join(release.releasePath, 'metadata/2.root.json');
  await writeFile(path, JSON.stringify({ signatures, signed }));
}

/** The public key of a role, as metadata names it. */
export async function keyIdOf(release: TestRelease, role: RoleName): Promise<string> {
  return (await keysOf(release, role))[0]?.key.keyID ?? '';
}

/** The secret keys that the first root names for a role. */
async function keysOf(release: TestRelease, role: RoleName): Promise<readonly RoleKey[]> {
  return signersOf(release.keysPath, parseRoot(release.root, 'root.json').signed, role);
}

type Signature = { readonly keyid: string; readonly sig: string };

/** By all keys of each role. */
async function signaturesOf(
  release: TestRelease,
  roles: readonly RoleName[],
  signed: Json,
): Promise<Signature[]> {
  const keys = await Promise.all(roles.map(async (role) => keysOf(release, role)));
  return keys.flat().map(({ sign }) => {
    const { keyID, sig } = sign(utf8(canonicalize(signed)));
    return { keyid: keyID, sig };
  });
}
