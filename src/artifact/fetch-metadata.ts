import { BadVersionError, EqualVersionError, ExpiredMetadataError } from 'tuf-js/dist/error.js';
import { TrustedMetadataStore } from 'tuf-js/dist/store.js';
import type { MetaFile } from '@tufjs/models';
import * as models from '@tufjs/models/dist/error.js';
import { fetchBytes, HttpError } from '../host/http.ts';
import { sentenceOf, ZosError } from '../lib/errors.ts';
import { KiB, SECOND_MS } from '../lib/units.ts';
import { ArtifactError, type Versions } from './spec.ts';
import { checkMetadataForm, type Target, targetOf } from './verify.ts';

const LENGTH_BYTES_MAX = {
  root: 64 * KiB,
  timestamp: 16 * KiB,
  snapshot: 64 * KiB,
  targets: 512 * KiB,
};
const ROOT_ROTATIONS_MAX = 64;
const DEADLINE_MS = 20 * SECOND_MS;

/**
 * The newest metadata that held so far, from whichever mirror: no other mirror can go below it.
 * Whoever can write it before it is loaded gains nothing: all of it is verified again.
 */
export type KnownMetadata = {
  root: Uint8Array;
  timestamp?: Uint8Array;
  snapshot?: Uint8Array;
  targets?: Uint8Array;
};

export type MetadataWish = {
  readonly mirror: string;
  /** Moves on with what held; on a refusal it keeps what was proven until then. */
  readonly known: KnownMetadata;
  readonly signal?: AbortSignal;
  readonly onBytes?: (lengthBytes: number) => void;
};

/** What a release vouches for: any of its files by name; throws `ArtifactError`. */
export type Release = {
  readonly target: (name: string) => Target;
  readonly versions: Versions;
};

/**
 * The client workflow of The Update Framework (specification 1.0.33, section 5) against one mirror.
 * tuf-js checks signatures, thresholds, versions, expiry and hashes; this fetches, in order, and
 * names the file and the check that failed. It uses tuf-js's store of trusted metadata directly:
 * its `Updater` wraps the causes of half the failures into texts. Throws `ArtifactError`.
 */
export async function fetchMetadata(wish: MetadataWish): Promise<Release> {
  const { known } = wish;
  const store = refused(
    'metadata/root.json',
    () => new TrustedMetadataStore(Buffer.from(known.root)),
  );
  await updateRoot(store, wish);
  await updateTimestamp(store, wish);
  await updateSnapshot(store, wish);
  await updateTargets(store, wish);
  const targets = store.targets?.signed;
  return {
    target: (name) => {
      const all = targets?.targets ?? {};
      return targetOf(name, Object.hasOwn(all, name) ? all[name] : undefined);
    },
    versions: {
      root: store.root.signed.version,
      timestamp: store.timestamp?.signed.version ?? 0,
      snapshot: store.snapshot?.signed.version ?? 0,
      targets: targets?.version ?? 0,
    },
  };
}

/** Section 5.3: every later root in turn, each signed by the one before it and by itself. */
async function updateRoot(store: TrustedMetadataStore, wish: MetadataWish): Promise<void> {
  for (let step = 0; step < ROOT_ROTATIONS_MAX; step += 1) {
    const artifact = `metadata/${store.root.signed.version + 1}.root.json`;
    const bytes = await fetchFile(wish, {
      artifact,
      bytesMax: LENGTH_BYTES_MAX.root,
      isOptional: true,
    });
    if (bytes === undefined) return;
    refused(artifact, () => store.updateRoot(bytes));
    wish.known.root = bytes;
  }
}

/** Section 5.4. */
async function updateTimestamp(store: TrustedMetadataStore, wish: MetadataWish): Promise<void> {
  const { known } = wish;
  const artifact = 'metadata/timestamp.json';
  ifStillGood(known.timestamp, (bytes) => store.updateTimestamp(bytes));
  const bytes = await fetchFile(wish, { artifact, bytesMax: LENGTH_BYTES_MAX.timestamp });
  try {
    refused(artifact, () => store.updateTimestamp(bytes));
    known.timestamp = bytes;
  } catch (error) {
    // The one that is known already is as new.
    if (!(error instanceof Error && error.cause instanceof EqualVersionError)) throw error;
  }
}

/** Section 5.5. */
async function updateSnapshot(store: TrustedMetadataStore, wish: MetadataWish): Promise<void> {
  const { known } = wish;
  const artifact = 'metadata/snapshot.json';
  if (ifStillGood(known.snapshot, (bytes) => store.updateSnapshot(bytes, true))) return;
  const expected = store.timestamp?.signed.snapshotMeta;
  const bytesMax = expected?.length ?? LENGTH_BYTES_MAX.snapshot;
  const bytes = await fetchFile(wish, { artifact, bytesMax, expected });
  refused(artifact, () => store.updateSnapshot(bytes));
  known.snapshot = bytes;
}

/** Section 5.6; no delegations: one key signs for all targets. */
async function updateTargets(store: TrustedMetadataStore, wish: MetadataWish): Promise<void> {
  const { known } = wish;
  const artifact = 'metadata/targets.json';
  const update = (bytes: Buffer): void => store.updateDelegatedTargets(bytes, 'targets', 'root');
  if (ifStillGood(known.targets, update)) return;
  const expected = store.snapshot?.signed.meta['targets.json'];
  const bytesMax = expected?.length ?? LENGTH_BYTES_MAX.targets;
  const bytes = await fetchFile(wish, { artifact, bytesMax, expected });
  refused(artifact, () => update(bytes));
  known.targets = bytes;
}

function ifStillGood(bytes: Uint8Array | undefined, update: (bytes: Buffer) => unknown): boolean {
  if (bytes === undefined) return false;
  try {
    update(Buffer.from(bytes));
    return true;
  } catch {
    // Superseded or expired: what the mirror has now decides, and is held against it.
    return false;
  }
}

type FileWish = {
  readonly artifact: string;
  readonly bytesMax: number;
  /** Length and hash, where a file that held already names them: checked before it is read. */
  readonly expected?: MetaFile | undefined;
};

async function fetchFile(
  wish: MetadataWish,
  file: FileWish & { isOptional: true },
): Promise<Buffer | undefined>;
async function fetchFile(wish: MetadataWish, file: FileWish): Promise<Buffer>;
async function fetchFile(
  { mirror, signal, onBytes }: MetadataWish,
  { artifact, bytesMax, expected, isOptional = false }: FileWish & { isOptional?: boolean },
): Promise<Buffer | undefined> {
  const facts = { artifact, mirror };
  try {
    const bytes = await fetchBytes({
      url: `${mirror.replace(/\/+$/u, '')}/${artifact}`,
      deadlineMs: DEADLINE_MS,
      bytesMax: Math.min(bytesMax, LENGTH_BYTES_MAX.targets),
      ...(signal === undefined ? {} : { signal }),
    });
    onBytes?.(bytes.length);
    refused(artifact, () => expected?.verify(Buffer.from(bytes)));
    checkMetadataForm(artifact, bytes, bytesMax);
    return Buffer.from(bytes);
  } catch (cause) {
    if (!(cause instanceof HttpError)) throw cause;
    const status = cause.facts['status'];
    if (isOptional && (status === 404 || status === 403)) return undefined;
    throw new ArtifactError(cause.code, cause.message, { facts: { ...facts, status }, cause });
  }
}

/** Runs a check of tuf-js and gives what it throws a name, a code and a sentence of ours. */
function refused<T>(artifact: string, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    const code = codeOfTuf(cause);
    throw new ArtifactError(code, `${REASONS[code]} (${sentenceOf(cause)}).`, {
      facts: { artifact },
      cause,
    });
  }
}

type TufCode = keyof typeof REASONS;

const REASONS = {
  UNTRUSTED: 'It is not signed by enough of the keys that this node trusts',
  EXPIRED: 'It is past its expiry; have the release signed again, and check the clock',
  ROLLED_BACK: 'It is not the version that has to follow',
  DIGEST_MISMATCH: 'It is not the file that was signed for',
  MALFORMED: 'It is not metadata of The Update Framework',
} as const;

function codeOfTuf(cause: unknown): TufCode {
  if (cause instanceof models.UnsignedMetadataError) return 'UNTRUSTED';
  if (cause instanceof ExpiredMetadataError) return 'EXPIRED';
  if (cause instanceof BadVersionError) return 'ROLLED_BACK';
  if (cause instanceof models.LengthOrHashMismatchError) return 'DIGEST_MISMATCH';
  if (cause instanceof ZosError) throw cause;
  return 'MALFORMED';
}
