import { isDeepStrictEqual } from 'node:util';
import { mkdir, readFile } from 'node:fs/promises';
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
import {
  RELEASE_FILES,
  RELEASE_FILES_REQUIRED,
  type ReuseRun,
  type Versions,
} from '../../src/artifact/spec.ts';
import { BootError } from '../errors.ts';
import { publishFile } from './file.ts';
import { expiry, parseRoot, signersOf, signMetadata, SPECIFICATION } from './keys.ts';
import { ensureRoot, readRootFiles, readRoots } from './root.ts';
import { findReuse } from './reuse.ts';

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
  readonly versions: Versions;
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
  const context = await openContext(wish);
  const files = await targetFiles(wish);
  const targets = await renew(
    { ...context, kind: MetadataKind.Targets },
    (base) => new Targets({ ...base, targets: files }),
  );
  const snapshot = await renew(
    { ...context, kind: MetadataKind.Snapshot },
    (base) => new Snapshot({ ...base, meta: { 'targets.json': metaFile(targets) } }),
  );
  const timestamp = await renew(
    { ...context, kind: MetadataKind.Timestamp },
    (base) => new Timestamp({ ...base, snapshotMeta: metaFile(snapshot) }),
  );

  // The order of use backwards, so that whoever fetches meanwhile never sees a promise unkept.
  for (const { name, bytes } of await readRootFiles(wish.keysPath)) {
    await publishFile(join(context.folder, name), bytes);
  }
  for (const part of [targets, snapshot, timestamp]) await publishFile(part.path, part.bytes);
  const reuse = files['system.erofs']?.custom['reuse'] as readonly ReuseRun[] | undefined;
  return {
    versions: {
      root: context.root.version,
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

/**
 * Signs the timestamp anew, and nothing else: what has to be done again and again while a release
 * stays the newest, with the one key that is for it. Answers its version. Throws `BootError`.
 */
export async function refreshTimestamp(wish: ReleaseWish): Promise<number> {
  const context = await openContext(wish);
  const renewal = { ...context, kind: MetadataKind.Timestamp } as const;
  const before = await readTrusted(join(context.folder, 'timestamp.json'), renewal);
  if (before === undefined || !(before.metadata.signed instanceof Timestamp)) {
    throw new BootError(
      'PART_MISSING',
      'No release is signed here yet; sign it: zos release sign.',
    );
  }
  const { snapshotMeta } = before.metadata.signed;
  const written = await renew(
    { ...renewal, isForced: true },
    (base) => new Timestamp({ ...base, snapshotMeta }),
  );
  await publishFile(written.path, written.bytes);
  return written.version;
}

type Context = Omit<Renewal, 'kind'> & { readonly root: Root };

async function openContext(wish: ReleaseWish): Promise<Context> {
  const { keysPath, nowMs } = wish;
  const { signed: root } = parseRoot(await ensureRoot(wish), join(keysPath, 'root.json'));
  const roots = await readRoots(keysPath);
  const folder = join(wish.releasePath, 'metadata');
  await mkdir(folder, { recursive: true });
  return { folder, keysPath, nowMs, root, roots };
}

async function targetFiles(wish: ReleaseWish): Promise<Record<string, TargetFile>> {
  const files: Record<string, TargetFile> = {};
  const required = new Set<string>(RELEASE_FILES_REQUIRED);
  for (const name of RELEASE_FILES) {
    const bytes = await readFile(join(wish.releasePath, name)).catch(() => undefined);
    if (bytes === undefined) {
      if (!required.has(name)) continue;
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
  readonly keysPath: string;
  readonly kind: Kind;
  readonly nowMs: number;
  readonly root: Root;
  /** All that ever were: versions go on counting when a key is another. */
  readonly roots: readonly Metadata<Root>[];
  /** The next version, also when this one would do. */
  readonly isForced?: boolean;
};

/** The metadata that is there if it says the same and lasts; else the next version of it. */
async function renew(wish: Renewal, make: (base: Base) => Signed): Promise<Written> {
  const { folder, kind, nowMs, root } = wish;
  const path = join(folder, `${kind}.json`);
  const lifetimeMs = LIFETIME_MS[kind];
  const before = await readTrusted(path, wish);
  if (before?.isCurrent === true && wish.isForced !== true) {
    const { version, expires } = before.metadata.signed;
    const same = make({ version, expires, specVersion: SPECIFICATION });
    const isLasting = Date.parse(expires) - nowMs > lifetimeMs / 2;
    if (isLasting && isDeepStrictEqual(same.toJSON(), before.metadata.signed.toJSON())) {
      return { path, bytes: before.bytes, version };
    }
  }
  const version = (before?.metadata.signed.version ?? 0) + 1;
  const signed = make({ version, expires: expiry(nowMs, lifetimeMs), specVersion: SPECIFICATION });
  const signers = await signersOf(wish.keysPath, root, kind);
  const { threshold = 1 } = root.roles[kind] ?? {};
  if (signers.length < threshold) {
    throw new BootError(
      'KEY_MISSING',
      `${wish.keysPath} holds ${signers.length} of the ${threshold} keys that ${kind} needs; put ` +
        'it there, or rotate it: zos release rotate.',
    );
  }
  return { path, bytes: signMetadata(new Metadata(signed), ...signers), version };
}

type Before = {
  readonly bytes: Uint8Array;
  readonly metadata: Metadata<Signed>;
  /** Whether the keys of today signed it. */
  readonly isCurrent: boolean;
};

/** What keys of ours signed before; a file of other keys is as good as none. */
async function readTrusted(
  path: string,
  { kind, root, roots }: Renewal,
): Promise<Before | undefined> {
  try {
    const bytes = await readFile(path);
    const metadata = parse(kind, JSON.parse(bytes.toString()));
    const by = roots.findLast((each) => isSignedBy(each, kind, metadata));
    if (by === undefined) return undefined;
    const isCurrent = by.signed.version === root.version;
    return { bytes: new Uint8Array(bytes), metadata, isCurrent };
  } catch {
    return undefined;
  }
}

function isSignedBy(root: Metadata<Root>, kind: Kind, metadata: Metadata<Signed>): boolean {
  try {
    root.verifyDelegate(kind, metadata);
    return true;
  } catch {
    return false;
  }
}

type Json = Parameters<typeof Metadata.fromJSON>[1];

function parse(kind: Kind, value: Json): Metadata<Signed> {
  if (kind === MetadataKind.Targets) return Metadata.fromJSON(MetadataKind.Targets, value);
  if (kind === MetadataKind.Snapshot) return Metadata.fromJSON(MetadataKind.Snapshot, value);
  return Metadata.fromJSON(MetadataKind.Timestamp, value);
}

function metaFile({ bytes, version }: Written): MetaFile {
  return new MetaFile({ version, length: bytes.length, hashes: { sha256: sha256Hex(bytes) } });
}
