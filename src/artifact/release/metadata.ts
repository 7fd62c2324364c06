import { BadVersionError, EqualVersionError, ExpiredMetadataError } from 'tuf-js/dist/error.js';
import { TrustedMetadataStore } from 'tuf-js/dist/store.js';
import type { MetaFile } from '@tufjs/models';
import * as models from '@tufjs/models/dist/error.js';
import { sha256Hex } from '../../lib/bytes.ts';
import { sentenceOf, ZosError } from '../../lib/errors.ts';
import { KiB } from '../../lib/units.ts';
import { ArtifactError, type Versions } from '../spec.ts';
import { checkMetadataForm, type Target, targetOf } from '../verify.ts';

/** The roles beside the root's, in the order in which a client takes them. */
export const CHAIN = ['timestamp', 'snapshot', 'targets'] as const;
export type ChainRole = (typeof CHAIN)[number];

/** The longest that a file of a role may be. */
export const METADATA_BYTES_MAX = {
  root: 64 * KiB,
  timestamp: 16 * KiB,
  snapshot: 64 * KiB,
  targets: 512 * KiB,
} as const;
export const ROOT_ROTATIONS_MAX = 64;

/** What a release vouches for. Its expiry is judged apart, once there is a clock to judge by. */
export type Release = {
  /** Any of its files by name; throws `ArtifactError`. */
  readonly target: (name: string) => Target;
  readonly names: readonly string[];
  readonly versions: Versions;
  readonly expiries: readonly { readonly artifact: string; readonly expiresMs: number }[];
  /** Every root of the chain that led here, by its version. */
  readonly roots: ReadonlyMap<number, KnownRoot>;
};

export type KnownRoot = {
  readonly sha256: string;
  /** The ids of the keys that may sign a timestamp and a snapshot, as one text. */
  readonly onlineKeys: string;
};

/** Metadata that holds, growing from a root that was trusted before. Every call may throw. */
export type Trust = {
  readonly rootVersion: () => number;
  /** Specification section 5.3: the next root, signed by the one before it and by itself. */
  readonly updateRoot: (bytes: Uint8Array) => void;
  /** Section 5.4. False when it is the version that is known already. */
  readonly updateTimestamp: (bytes: Uint8Array) => boolean;
  /** Section 5.5; `isKnown` for what held before, which need not be what a timestamp names. */
  readonly updateSnapshot: (bytes: Uint8Array, isKnown?: boolean) => void;
  /** Section 5.6; no delegations: the keys of one role sign for all targets. */
  readonly updateTargets: (bytes: Uint8Array) => void;
  /** Length and hash of the next file, as the one that held before it says. */
  readonly expected: (role: 'snapshot' | 'targets') => MetaFile | undefined;
  readonly release: () => Release;
};

/**
 * The client workflow of The Update Framework (specification 1.0.33, section 5), without time:
 * tuf-js checks signatures, thresholds, versions and hashes, and this names the file and the check
 * that failed. It uses tuf-js's store of trusted metadata directly, since its `Updater` wraps the
 * causes of half the failures into texts. Throws `ArtifactError`, as does all that it returns.
 */
export function openTrust(root: Uint8Array): Trust {
  const store = refused('metadata/root.json', () => {
    checkMetadataForm('metadata/root.json', root, METADATA_BYTES_MAX.root);
    return new TrustedMetadataStore(Buffer.from(root));
  });
  // Nothing is past its expiry in 1970: the clock is decided after all of this holds.
  Object.assign(store, { referenceTime: new Date(0) });
  const roots = new Map([[store.root.signed.version, knownRoot(store, root)]]);
  const take = (role: keyof typeof METADATA_BYTES_MAX, bytes: Uint8Array, artifact: string) => {
    checkMetadataForm(artifact, bytes, METADATA_BYTES_MAX[role]);
    return Buffer.from(bytes);
  };
  return {
    rootVersion: () => store.root.signed.version,
    updateRoot: (bytes) => {
      const artifact = `metadata/${store.root.signed.version + 1}.root.json`;
      const checked = take('root', bytes, artifact);
      refused(artifact, () => store.updateRoot(checked));
      roots.set(store.root.signed.version, knownRoot(store, bytes));
    },
    updateTimestamp: (bytes) => {
      const artifact = 'metadata/timestamp.json';
      const checked = take('timestamp', bytes, artifact);
      try {
        refused(artifact, () => store.updateTimestamp(checked));
        return true;
      } catch (error) {
        if (error instanceof Error && error.cause instanceof EqualVersionError) return false;
        throw error;
      }
    },
    updateSnapshot: (bytes, isKnown = false) => {
      const checked = take('snapshot', bytes, 'metadata/snapshot.json');
      refused('metadata/snapshot.json', () => store.updateSnapshot(checked, isKnown));
    },
    updateTargets: (bytes) => {
      const checked = take('targets', bytes, 'metadata/targets.json');
      const update = (): void => store.updateDelegatedTargets(checked, 'targets', 'root');
      refused('metadata/targets.json', update);
    },
    expected: (role) =>
      role === 'snapshot'
        ? store.timestamp?.signed.snapshotMeta
        : store.snapshot?.signed.meta['targets.json'],
    release: () => releaseOf(store, roots),
  };
}

/** The files of a release's metadata: all roots that follow the trusted one, and the rest. */
export type MetadataFiles = Readonly<Record<ChainRole, Uint8Array>> & {
  readonly roots: readonly Uint8Array[];
};

/** All of it at once, from memory; throws `ArtifactError`. */
export function verifyMetadata(root: Uint8Array, files: MetadataFiles): Release {
  const trust = openTrust(root);
  for (const next of files.roots) trust.updateRoot(next);
  trust.updateTimestamp(files.timestamp);
  trust.updateSnapshot(files.snapshot);
  trust.updateTargets(files.targets);
  return trust.release();
}

/** Runs a check of tuf-js and gives what it throws a name, a code and a sentence of ours. */
export function refused<T>(artifact: string, check: () => T): T {
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

function releaseOf(store: TrustedMetadataStore, roots: Release['roots']): Release {
  const { root, timestamp, snapshot, targets } = store;
  const all = { root, timestamp, snapshot, targets };
  const entries = Object.entries(all).flatMap(([role, metadata]) =>
    metadata === undefined ? [] : [{ role, signed: metadata.signed }],
  );
  const versions = Object.fromEntries(entries.map(({ role, signed }) => [role, signed.version]));
  const files = targets?.signed.targets ?? {};
  return {
    target: (name) => targetOf(name, Object.hasOwn(files, name) ? files[name] : undefined),
    names: Object.keys(files),
    versions: { root: 0, timestamp: 0, snapshot: 0, targets: 0, ...versions },
    expiries: entries.map(({ role, signed }) => ({
      artifact: `metadata/${role === 'root' ? `${signed.version}.root` : role}.json`,
      expiresMs: Date.parse(signed.expires),
    })),
    roots: new Map(roots),
  };
}

function knownRoot(store: TrustedMetadataStore, bytes: Uint8Array): KnownRoot {
  const { roles } = store.root.signed;
  const ids = (['timestamp', 'snapshot'] as const).map((role) => roles[role]?.keyIDs ?? []);
  const onlineKeys = JSON.stringify(ids.map((each) => [...each].toSorted()));
  return { sha256: sha256Hex(bytes), onlineKeys };
}

/** Whether any of the release's metadata is past its end at that time. */
export function isExpired({ expiries }: Pick<Release, 'expiries'>, nowMs: number): boolean {
  return expiries.some(({ expiresMs }) => !(nowMs < expiresMs));
}

/** Throws `ArtifactError` when any of a release's metadata is past its expiry. */
export function checkExpiry(release: Release, nowMs: number): void {
  const past = release.expiries.find(({ expiresMs }) => !(nowMs < expiresMs));
  if (past === undefined) return;
  const [end, now] = [past.expiresMs, nowMs].map((ms) => new Date(ms).toISOString());
  throw new ArtifactError(
    'EXPIRED',
    `It was good until ${end}, and it is ${now}; use a mirror that follows, or sign it anew.`,
    { facts: { artifact: past.artifact } },
  );
}

type TufCode = keyof typeof REASONS;

const REASONS = {
  UNTRUSTED: 'It is not signed by enough of the keys that this node trusts',
  EXPIRED: 'It is past its expiry',
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
