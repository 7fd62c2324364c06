import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CHAIN,
  checkExpiry,
  type MetadataFiles,
  type Release,
  verifyMetadata,
} from '../../src/artifact/release/metadata.ts';
import { exchange } from '../../src/host/http.ts';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { KiB, SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import { readRootFiles } from './root.ts';

const ANSWER_BYTES_MAX = 64 * KiB;

/**
 * Looks at a release as a machine does that knows the first root only, and at every file that it
 * signs for. Throws `ArtifactError`, or `BootError` for a file that is another.
 */
export async function checkRelease(wish: {
  readonly releasePath: string;
  readonly keysPath: string;
  readonly nowMs: number;
}): Promise<{ readonly release: Release; readonly files: MetadataFiles }> {
  const { releasePath, keysPath, nowMs } = wish;
  const [first, ...roots] = (await readRootFiles(keysPath)).map(({ bytes }) => bytes);
  const read = async (role: string): Promise<Uint8Array> => {
    const path = join(releasePath, `metadata/${role}.json`);
    return new Uint8Array(
      await readFile(path).catch((cause: unknown) => {
        throw new BootError('PART_MISSING', `${path} is missing; sign it: zos release sign.`, {
          cause,
        });
      }),
    );
  };
  const [timestamp, snapshot, targets] = await Promise.all(CHAIN.map(read));
  if (first === undefined || !timestamp || !snapshot || !targets) {
    throw new BootError('PART_MISSING', 'There are no keys yet; make them: zos release keys.');
  }
  const files = { roots, timestamp, snapshot, targets };
  const release = verifyMetadata(first, files);
  checkExpiry(release, nowMs);
  for (const name of release.names) {
    const bytes = await readFile(join(releasePath, name)).catch(() => Buffer.alloc(0));
    if (sha256Hex(bytes) === release.target(name).sha256) continue;
    throw new BootError(
      'PART_MISSING',
      `${name} is not what was signed; sign it: zos release sign.`,
    );
  }
  return { release, files };
}

/**
 * Tells a directory what is newest, which it checks for itself: from then on machines that ask it
 * refuse what is older. Throws `BootError` with its words, or `HttpError`.
 */
export async function tellDirectory(
  url: string,
  files: MetadataFiles,
  measurements: Uint8Array | undefined,
): Promise<void> {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  const { roots, timestamp, snapshot, targets } = files;
  const answer = await exchange({
    url: `${url.replace(/\/+$/u, '')}/v1/release`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      roots: roots.map(text),
      timestamp: text(timestamp),
      snapshot: text(snapshot),
      targets: text(targets),
      measurements: measurements === undefined ? null : text(measurements),
    }),
    deadlineMs: 30 * SECOND_MS,
    bytesMax: ANSWER_BYTES_MAX,
  });
  if (answer.status === 200) return;
  throw new BootError('PROGRAM_FAILED', `${url} refused: ${reasonOf(answer.body, answer.status)}`);
}

function reasonOf(body: Uint8Array, status: number): string {
  try {
    const { code, sentence } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
    return `${String(code)} ${String(sentence)}`.replaceAll(/\p{Cc}/gu, ' ').slice(0, 500);
  } catch {
    return `it answered ${status} with no reason; check its address.`;
  }
}
