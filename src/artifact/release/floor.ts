import { fromHex, sha256Hex, toHex } from '../../lib/bytes.ts';
import type { Release } from './metadata.ts';
import { ArtifactError, type Versions } from '../spec.ts';

/** The lowest versions that a machine may take, and which release's keys they are about. */
export type Floor = {
  readonly versions: Versions;
  /** SHA-256 of the root.json with `versions.root`: versions of other roots mean nothing here. */
  readonly rootSha256: string;
};

/** A floor and who remembers it, for people. */
export type Remembered = { readonly floor: Floor; readonly by: string };

/** What is kept at the very beginning of a data disk, where ext4 leaves 1024 bytes alone. */
export const FLOOR_BYTES = 512;
const MAGIC = Buffer.from('ZOSFLOOR', 'latin1');
const FORM = 1;
const ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
const NUMBERS_AT = 16;
const ROOT_AT = NUMBERS_AT + 8 * ROLES.length;
const DIGEST_AT = FLOOR_BYTES - 32;

/**
 * A floor as 512 bytes. Whoever has the disk can write another one: it keeps a network from going
 * back, and its holder from nothing.
 */
export function encodeFloor({ versions, rootSha256 }: Floor): Uint8Array {
  const bytes = Buffer.alloc(FLOOR_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(FORM, MAGIC.length);
  for (const [at, role] of ROLES.entries()) {
    bytes.writeBigUInt64LE(BigInt(versions[role]), NUMBERS_AT + 8 * at);
  }
  bytes.write(rootSha256, ROOT_AT, 'hex');
  bytes.write(sha256Hex(bytes.subarray(0, DIGEST_AT)), DIGEST_AT, 'hex');
  return new Uint8Array(bytes);
}

/** None when these bytes are no floor, or one that was written in half. */
export function decodeFloor(bytes: Uint8Array): Floor | undefined {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (record.length !== FLOOR_BYTES || !record.subarray(0, MAGIC.length).equals(MAGIC)) {
    return undefined;
  }
  const digest = fromHex(sha256Hex(record.subarray(0, DIGEST_AT))) ?? new Uint8Array();
  if (!record.subarray(DIGEST_AT).equals(digest)) return undefined;
  if (record.readUInt32LE(MAGIC.length) !== FORM) return undefined;
  const numbers = ROLES.map((_, at) => Number(record.readBigUInt64LE(NUMBERS_AT + 8 * at)));
  if (!numbers.every((number) => Number.isSafeInteger(number))) return undefined;
  const [root = 0, timestamp = 0, snapshot = 0, targets = 0] = numbers;
  const rootSha256 = toHex(record.subarray(ROOT_AT, ROOT_AT + 32));
  return { versions: { root, timestamp, snapshot, targets }, rootSha256 };
}

/** What was seen, as a floor for the next time. */
export function floorOf(release: Pick<Release, 'versions' | 'roots'>): Floor {
  const { versions, roots } = release;
  return { versions, rootSha256: roots.get(versions.root)?.sha256 ?? '' };
}

/**
 * Whether a floor was left by a release of these roots. A root that the chain has at the same
 * version and with other bytes is somebody else's; one that it does not have may be ours.
 */
export function isOfRelease(floor: Floor, { roots }: Pick<Release, 'roots'>): boolean {
  const known = roots.get(floor.versions.root);
  return known === undefined || known.sha256 === floor.rootSha256;
}

/**
 * Throws `ArtifactError` when a release is older than anything that remembers says. As in section
 * 5.3.11 of the specification, versions of a timestamp and a snapshot count for as long as the keys
 * do that signed them: else whoever stole one could end all updates with a number.
 */
export function checkLowest(release: Release, remembered: readonly Remembered[]): void {
  for (const { floor, by } of remembered) {
    if (!isOfRelease(floor, release)) continue;
    const before = release.roots.get(floor.versions.root)?.onlineKeys;
    const now = release.roots.get(release.versions.root)?.onlineKeys;
    const isRotated = before !== undefined && before !== now;
    for (const role of ROLES) {
      const [found, lowest] = [release.versions[role], floor.versions[role]];
      if (found >= lowest || (isRotated && (role === 'timestamp' || role === 'snapshot'))) continue;
      throw new ArtifactError(
        'ROLLED_BACK',
        `It is version ${found}, and ${by} has seen version ${lowest}; use a mirror that is newer.`,
        { facts: { artifact: `metadata/${role}.json` } },
      );
    }
  }
}

/** The higher of two, version by version; the later root names them. */
export function higherFloor(a: Floor, b: Floor): Floor {
  const [low, high] = a.versions.root <= b.versions.root ? [a, b] : [b, a];
  const entries = ROLES.map((role) => [role, Math.max(low.versions[role], high.versions[role])]);
  return { ...high, versions: Object.fromEntries(entries) as Versions };
}
