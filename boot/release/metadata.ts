import { isDeepStrictEqual } from 'node:util';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  MetaFile,
  Metadata,
  MetadataKind,
  type Root,
  Snapshot,
  TargetFile,
  Targets,
  Timestamp,
} from '@tufjs/models';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { DAY_MS } from '../../src/lib/units.ts';
import type { ReuseRun } from '../../src/artifact/spec.ts';
import { BootError } from '../errors.ts';
import {
  ensureKeys,
  ensureRoot,
  expiry,
  type RoleKey,
  signMetadata,
  SPECIFICATION,
} from './keys.ts';
import { findReuse } from './reuse.ts';

/** What a release is made of; `grid.json` is there when a grid is. */
export const PARTS = ['vmlinuz', 'initramfs.cpio', 'system.erofs'] as const;
const GRID_FILE = 'grid.json';
/** What machines with a BIOS load; not every release has it. */
const LOADER_PARTS = ['zos-bios.img', 'zos-bios.cd', 'zos-bios.pxe'] as const;
const SIGNATURES = ['vmlinuz.sig', 'initramfs.cpio.sig'] as const;
const OPTIONAL: readonly string[] = [GRID_FILE, ...LOADER_PARTS, ...SIGNATURES];

const LIFETIME_MS = { targets: 365 * DAY_MS, snapshot: 365 * DAY_MS, timestamp: 30 * DAY_MS };

export type ReleaseWish = {
  /** Holds the parts, and gets `metadata/`. */
  readonly releasePath: string;
  readonly keysPath: string;
  /** The first stage's image, to find what a node need not fetch twice; none for no reuse. */
  readonly firstStagePath?: string;
  readonly nowMs: number;
};

export type SignedRelease = {
  readonly versions: {
    readonly targets: number;
    readonly snapshot: number;
    readonly timestamp: number;
  };
  readonly targets: readonly {
    readonly name: string;
    readonly lengthBytes: number;
    readonly sha256: string;
  }[];
  readonly reusedBytes: number;
};

/**
 * Signs all parts of a release: each by length and SHA-256 in targets.json, that in snapshot.json,
 * that in timestamp.json. What is signed already for the same bytes, and is far from its expiry,
 * stays as it is, so signing twice changes nothing. Throws `BootError`.
 */
export async function signRelease(wish: ReleaseWish): Promise<SignedRelease> {
  const keys = await ensureKeys(wish.keysPath);
  const rootBytes = await ensureRoot(wish);
  const root = Metadata.fromJSON(MetadataKind.Root, JSON.parse(Buffer.from(rootBytes).toString()));
  const folder = join(wish.releasePath, 'metadata');
  await mkdir(folder, { recursive: true });
  const files = await targetFiles(wish);
  const context = { folder, nowMs: wish.nowMs, isTrusted: trustOf(root) };

  const targets = await renew(
    { ...context, kind: MetadataKind.Targets, key: keys.targets },
    (base) => new Targets({ ...base, targets: files }),
  );
  const snapshot = await renew(
    { ...context, kind: MetadataKind.Snapshot, key: keys.snapshot },
    (base) => new Snapshot({ ...base, meta: { 'targets.json': metaFile(targets) } }),
  );
  const timestamp = await renew(
    { ...context, kind: MetadataKind.Timestamp, key: keys.timestamp },
    (base) => new Timestamp({ ...base, snapshotMeta: metaFile(snapshot) }),
  );

  // The order of use backwards, so that whoever fetches meanwhile never sees a promise unkept.
  await publish(join(folder, `${root.signed.version}.root.json`), rootBytes);
  for (const part of [targets, snapshot, timestamp]) await publish(part.path, part.bytes);
  const reuse = files['system.erofs']?.custom['reuse'] as readonly ReuseRun[] | undefined;
  return {
    versions: {
      targets: targets.version,
      snapshot: snapshot.version,
      timestamp: timestamp.version,
    },
    targets: Object.values(files).map(({ path, length, hashes }) => ({
      name: path,
      lengthBytes: length,
      sha256: hashes['sha256'] ?? '',
    })),
    reusedBytes: (reuse ?? []).reduce((sum, [, lengthBytes]) => sum + lengthBytes, 0),
  };
}

async function targetFiles(wish: ReleaseWish): Promise<Record<string, TargetFile>> {
  const files: Record<string, TargetFile> = {};
  for (const name of [...PARTS, ...OPTIONAL]) {
    const bytes = await readFile(join(wish.releasePath, name)).catch(() => undefined);
    if (bytes === undefined) {
      if (OPTIONAL.includes(name)) continue;
      throw new BootError('PART_MISSING', `${name} is not built yet; run npm run image.`);
    }
    const custom = name === 'system.erofs' ? await reuseOf(wish, bytes) : {};
    files[name] = new TargetFile({
      path: name,
      length: bytes.length,
      hashes: { sha256: sha256Hex(bytes) },
      unrecognizedFields: custom,
    });
  }
  return files;
}

async function reuseOf(
  { firstStagePath }: ReleaseWish,
  system: Uint8Array,
): Promise<{ custom?: { reuse: [number, number, number][] } }> {
  if (firstStagePath === undefined) return {};
  const first = await readFile(firstStagePath).catch(() => undefined);
  return first === undefined ? {} : { custom: { reuse: findReuse(system, first) } };
}

type Kind = MetadataKind.Targets | MetadataKind.Snapshot | MetadataKind.Timestamp;
type Signed = Targets | Snapshot | Timestamp;
type Base = { readonly version: number; readonly specVersion: string; readonly expires: string };
type Written = { readonly path: string; readonly bytes: Uint8Array; readonly version: number };

type Renewal = {
  readonly folder: string;
  readonly kind: Kind;
  readonly key: RoleKey;
  readonly nowMs: number;
  readonly isTrusted: (kind: Kind, metadata: Metadata<Signed>) => boolean;
};

/** The metadata that is there if it says the same and lasts; else the next version of it. */
async function renew(wish: Renewal, make: (base: Base) => Signed): Promise<Written> {
  const { folder, kind, nowMs } = wish;
  const path = join(folder, `${kind}.json`);
  const lifetimeMs = LIFETIME_MS[kind];
  const before = await readTrusted(path, wish);
  if (before !== undefined) {
    const { version, expires } = before.metadata.signed;
    const same = make({ version, expires, specVersion: SPECIFICATION });
    const isLasting = Date.parse(expires) - nowMs > lifetimeMs / 2;
    if (isLasting && isDeepStrictEqual(same.toJSON(), before.metadata.signed.toJSON())) {
      return { path, bytes: before.bytes, version };
    }
  }
  const version = (before?.metadata.signed.version ?? 0) + 1;
  const signed = make({ version, expires: expiry(nowMs, lifetimeMs), specVersion: SPECIFICATION });
  return { path, bytes: signMetadata(new Metadata(signed), wish.key), version };
}

type Before = { readonly bytes: Uint8Array; readonly metadata: Metadata<Signed> };

/** What these keys signed before; a file of other keys is as good as none. */
async function readTrusted(
  path: string,
  { kind, isTrusted }: Renewal,
): Promise<Before | undefined> {
  try {
    const bytes = await readFile(path);
    const metadata = parse(kind, JSON.parse(bytes.toString()));
    return isTrusted(kind, metadata) ? { bytes: new Uint8Array(bytes), metadata } : undefined;
  } catch {
    return undefined;
  }
}

type Json = Parameters<typeof Metadata.fromJSON>[1];

function parse(kind: Kind, value: Json): Metadata<Signed> {
  if (kind === MetadataKind.Targets) return Metadata.fromJSON(MetadataKind.Targets, value);
  if (kind === MetadataKind.Snapshot) return Metadata.fromJSON(MetadataKind.Snapshot, value);
  return Metadata.fromJSON(MetadataKind.Timestamp, value);
}

function trustOf(root: Metadata<Root>): Renewal['isTrusted'] {
  return (kind, metadata) => {
    root.verifyDelegate(kind, metadata);
    return true;
  };
}

function metaFile({ bytes, version }: Written): MetaFile {
  return new MetaFile({ version, length: bytes.length, hashes: { sha256: sha256Hex(bytes) } });
}

/** In one step: whoever reads sees the old file or the new one. */
async function publish(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { force: true });
  await writeFile(part, bytes, { mode: 0o644 });
  await rename(part, path);
}
