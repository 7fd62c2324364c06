import type { MetaFile } from '@tufjs/models';
import { fetchBytes, HttpError } from '../../host/http.ts';
import { SECOND_MS } from '../../lib/units.ts';
import {
  METADATA_BYTES_MAX,
  openTrust,
  refused,
  type Release,
  ROOT_ROTATIONS_MAX,
  type Trust,
} from './metadata.ts';
import { ArtifactError } from '../spec.ts';

const DEADLINE_MS = 20 * SECOND_MS;

/**
 * The newest metadata that held so far, from whichever mirror: no other mirror can go below it.
 * Whoever can write it before it is loaded gains nothing: all of it is verified again.
 */
export type KnownMetadata = {
  /** The one that is trusted from the start, and each that followed it. */
  roots: Uint8Array[];
  timestamp?: Uint8Array;
  snapshot?: Uint8Array;
  targets?: Uint8Array;
};

export type MetadataWish = {
  readonly mirror: string;
  /** Moves on with what held; on a refusal it keeps what was proven until then. */
  readonly known: KnownMetadata;
  /** For each file. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly onBytes?: (lengthBytes: number) => void;
};

/**
 * What a mirror has, in the order of the specification: every file is fetched within its bound,
 * checked, and only then believed. Expiry is not judged here. Throws `ArtifactError`.
 */
export async function fetchMetadata(wish: MetadataWish): Promise<Release> {
  const [root = new Uint8Array(), ...later] = wish.known.roots;
  const trust = openTrust(root);
  for (const next of later) trust.updateRoot(next);
  await updateRoot(trust, wish);
  await updateTimestamp(trust, wish);
  await updateSnapshot(trust, wish);
  await updateTargets(trust, wish);
  return trust.release();
}

/** Every later root in turn, so that whoever was off for some of them catches up. */
async function updateRoot(trust: Trust, wish: MetadataWish): Promise<void> {
  for (let step = 0; step < ROOT_ROTATIONS_MAX; step += 1) {
    const artifact = `metadata/${trust.rootVersion() + 1}.root.json`;
    const bytesMax = METADATA_BYTES_MAX.root;
    const bytes = await fetchFile(wish, { artifact, bytesMax, isOptional: true });
    if (bytes === undefined) return;
    trust.updateRoot(bytes);
    wish.known.roots.push(bytes);
  }
}

async function updateTimestamp(trust: Trust, wish: MetadataWish): Promise<void> {
  const { known } = wish;
  const artifact = 'metadata/timestamp.json';
  ifStillGood(known.timestamp, trust.updateTimestamp);
  const bytes = await fetchFile(wish, { artifact, bytesMax: METADATA_BYTES_MAX.timestamp });
  // The one that is known already is as new.
  if (trust.updateTimestamp(bytes)) known.timestamp = bytes;
}

async function updateSnapshot(trust: Trust, wish: MetadataWish): Promise<void> {
  const { known } = wish;
  if (ifStillGood(known.snapshot, (bytes) => trust.updateSnapshot(bytes, true))) return;
  const expected = trust.expected('snapshot');
  const bytesMax = expected?.length ?? METADATA_BYTES_MAX.snapshot;
  const bytes = await fetchFile(wish, { artifact: 'metadata/snapshot.json', bytesMax, expected });
  trust.updateSnapshot(bytes);
  known.snapshot = bytes;
}

async function updateTargets(trust: Trust, wish: MetadataWish): Promise<void> {
  const { known } = wish;
  if (ifStillGood(known.targets, trust.updateTargets)) return;
  const expected = trust.expected('targets');
  const bytesMax = expected?.length ?? METADATA_BYTES_MAX.targets;
  const bytes = await fetchFile(wish, { artifact: 'metadata/targets.json', bytesMax, expected });
  trust.updateTargets(bytes);
  known.targets = bytes;
}

function ifStillGood(
  bytes: Uint8Array | undefined,
  update: (bytes: Uint8Array) => unknown,
): boolean {
  if (bytes === undefined) return false;
  try {
    update(bytes);
    return true;
  } catch {
    // Superseded, or of keys that were rotated away: what the mirror has now decides.
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
  { mirror, deadlineMs = DEADLINE_MS, signal, onBytes }: MetadataWish,
  { artifact, bytesMax, expected, isOptional = false }: FileWish & { isOptional?: boolean },
): Promise<Buffer | undefined> {
  const facts = { artifact, mirror };
  try {
    const bytes = await fetchBytes({
      url: `${mirror.replace(/\/+$/u, '')}/${artifact}`,
      deadlineMs,
      bytesMax: Math.min(bytesMax, METADATA_BYTES_MAX.targets),
      ...(signal === undefined ? {} : { signal }),
    });
    onBytes?.(bytes.length);
    refused(artifact, () => expected?.verify(Buffer.from(bytes)));
    return Buffer.from(bytes);
  } catch (cause) {
    if (!(cause instanceof HttpError)) throw cause;
    const status = cause.facts['status'];
    if (isOptional && (status === 404 || status === 403)) return undefined;
    throw new ArtifactError(cause.code, cause.message, { facts: { ...facts, status }, cause });
  }
}
