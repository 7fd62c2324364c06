import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { ArtifactError, type ReuseRun, reuseSchema } from './spec.ts';

declare const verified: unique symbol;
/** A file that signed metadata vouches for, minted only by `targetOf`. */
export type Target = {
  readonly name: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  /** A hint only: whatever is put together from it is hashed as a whole. */
  readonly reuse: readonly ReuseRun[];
} & { readonly [verified]: never };

/** A target as it stands in targets.json, after the metadata's signatures held. */
export type SignedTarget = {
  readonly length: number;
  readonly hashes: Readonly<Record<string, string>>;
  readonly custom: Readonly<Record<string, unknown>>;
};

/** No artifact of ours is larger; a signed mistake must not fill a node's memory. */
const TARGET_BYTES_MAX = 1024 ** 3;

/** The turnstile from signed metadata to a file that may be fetched; throws `ArtifactError`. */
export function targetOf(name: string, signed: SignedTarget | undefined): Target {
  const facts = { artifact: name };
  if (signed === undefined) {
    throw new ArtifactError('TARGET_MISSING', `The signed release does not list ${name}.`, {
      facts,
    });
  }
  const sha256 = signed.hashes['sha256'] ?? '';
  const isLength = Number.isSafeInteger(signed.length) && signed.length <= TARGET_BYTES_MAX;
  if (!isLength || !/^[0-9a-f]{64}$/u.test(sha256)) {
    throw new ArtifactError('MALFORMED', `The signed release gives ${name} no SHA-256 or length.`, {
      facts,
    });
  }
  const runs = reuseSchema.safeParse(signed.custom['reuse'] ?? []);
  const isInside = runs.success && areOrdered(runs.data, signed.length);
  if (!isInside) {
    throw new ArtifactError('MALFORMED', `The signed release lists wrong reuse runs for ${name}.`, {
      facts,
    });
  }
  const target = { name, lengthBytes: signed.length, sha256, reuse: runs.data };
  return target as unknown as Target;
}

/** Runs follow each other, do not overlap and end within the file. */
function areOrdered(runs: readonly ReuseRun[], lengthBytes: number): boolean {
  let endBytes = 0;
  for (const [offset, length] of runs) {
    if (offset < endBytes) return false;
    endBytes = offset + length;
  }
  return endBytes <= lengthBytes;
}

export type Piece = { readonly offsetBytes: number; readonly lengthBytes: number };

/** What is left to fetch when the runs are there already. */
export function missingPieces(lengthBytes: number, runs: readonly ReuseRun[]): Piece[] {
  const pieces: Piece[] = [];
  let offsetBytes = 0;
  for (const [offset, length] of runs) {
    if (offset > offsetBytes) pieces.push({ offsetBytes, lengthBytes: offset - offsetBytes });
    offsetBytes = offset + length;
  }
  if (lengthBytes > offsetBytes) {
    pieces.push({ offsetBytes, lengthBytes: lengthBytes - offsetBytes });
  }
  return pieces;
}

export const METADATA_DEPTH_MAX = 12;

/**
 * Whether bytes have the outer form of TUF metadata, before anything of them is believed: strict
 * JSON, and signatures in the one spelling that we write, so that no bit of a file can be changed
 * without it being refused. Throws `ArtifactError`.
 */
export function checkMetadataForm(artifact: string, bytes: Uint8Array, bytesMax: number): void {
  const facts = { artifact };
  let value: unknown;
  try {
    value = parseStrictJson(bytes, { bytesMax, depthMax: METADATA_DEPTH_MAX });
  } catch (cause) {
    const sentence = cause instanceof ZosError ? cause.message : 'It could not be read.';
    throw new ArtifactError('NOT_JSON', sentence, { facts, cause });
  }
  if (!isSignedForm(value)) {
    throw new ArtifactError('MALFORMED', 'It is JSON, but not metadata with signatures.', {
      facts,
    });
  }
}

function isSignedForm(value: unknown): boolean {
  if (!isRecord(value) || Object.keys(value).toSorted().join() !== 'signatures,signed')
    return false;
  const { signatures, signed } = value;
  if (!isRecord(signed) || !Array.isArray(signatures) || signatures.length > 16) return false;
  // The library puts its own version in the place of an empty one, and takes the signature of that.
  if (!/^1\.[0-9.]{1,16}$/u.test(String(signed['spec_version']))) return false;
  return signatures.every(
    (entry: unknown) =>
      isRecord(entry) &&
      Object.keys(entry).toSorted().join() === 'keyid,sig' &&
      /^[0-9a-f]{64}$/u.test(String(entry['keyid'])) &&
      /^[0-9a-f]{128}$/u.test(String(entry['sig'])),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Names kernel and first stage of a release together: a machine that runs others runs others. */
export function kernelReleaseOf(target: (name: string) => Target): string {
  const digests = ['vmlinuz', 'initramfs.cpio'].map((name) => target(name).sha256);
  return sha256Hex(utf8(`${digests.join('\n')}\n`));
}
