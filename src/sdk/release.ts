import { type MetadataFiles, type Release, verifyMetadata } from '../artifact/release/metadata.ts';
import { ArtifactError } from '../artifact/spec.ts';
import { type Measurements, parseMeasurements } from '../attestation/spec.ts';
import { sha256Hex, utf8 } from '../lib/bytes.ts';
import type { ReleaseAnswer, ReleaseBody } from './api.ts';

/** The metadata of a published release in bytes, as its signatures cover them. */
export function filesOf({ roots, timestamp, snapshot, targets }: ReleaseBody): MetadataFiles {
  return {
    roots: roots.map(utf8),
    timestamp: utf8(timestamp),
    snapshot: utf8(snapshot),
    targets: utf8(targets),
  };
}

/** `measurements.json`, when it is the file that was signed for; else throws `ArtifactError`. */
export function checkMeasurements(release: Release, text: string): Measurements {
  const bytes = utf8(text);
  if (sha256Hex(bytes) === release.target('measurements.json').sha256) {
    return parseMeasurements(bytes);
  }
  throw new ArtifactError('DIGEST_MISMATCH', 'It is not the file that was signed for.', {
    facts: { artifact: 'measurements.json' },
  });
}

/**
 * What a directory has of the newest release, believed as far as `root` vouches for it: the first
 * of its roots or any later one. Its expiry is for who has a clock. Throws `ArtifactError`.
 */
export function verifyRelease(
  root: Uint8Array,
  said: ReleaseAnswer,
): { readonly release: Release; readonly measurements: Measurements } {
  const chain = [said.trustedRoot, ...said.roots].map(utf8);
  const known = chain.findIndex((bytes) => Buffer.compare(bytes, root) === 0);
  const files = { ...filesOf(said), roots: chain.slice(known + 1) };
  const release = verifyMetadata(root, files);
  if (said.measurements === null) {
    throw new ArtifactError(
      'TARGET_MISSING',
      'The directory was not told what the release measures; publish it again.',
      { facts: { artifact: 'measurements.json' } },
    );
  }
  return { release, measurements: checkMeasurements(release, said.measurements) };
}
