import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { signIdentity, verifyIdentity } from '../identity/document.ts';
import type { Envelope } from '../identity/envelope.ts';
import { decodeSecretKeys, encodeSecretKeys, makeSecretKeys } from '../identity/keys.ts';
import type { SecretKeys } from '../identity/keys.ts';
import { StartError } from './errors.ts';

export type OwnIdentity = {
  readonly keys: SecretKeys;
  readonly document: Envelope;
  readonly id: string;
};

/**
 * The directory's own identity out of `folder`/keys, made on the first start. Whoever reads that
 * file can sign times in the directory's name; contracts and receipts they can't touch.
 */
export function openIdentity(folder: string): OwnIdentity {
  const path = join(folder, 'keys');
  try {
    makeFolder(resolve(folder));
    const text = readKeys(path) ?? makeKeys(path);
    const keys = decodeSecretKeys(text);
    // Signing is deterministic (RFC 8032), so the document comes out the same at every start.
    const document = signIdentity('directory', keys);
    return { keys, document, id: verifyIdentity(document).id };
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new StartError(
      'FOLDER_UNUSABLE',
      `The data folder ${folder} can't be used; name one that you may write to with --data.`,
      { cause },
    );
  }
}

/** Level by level: Node's own `recursive` turns for ever where a folder refuses with ENOENT. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

function readKeys(path: string): string | undefined {
  let mode: number;
  try {
    mode = statSync(path).mode;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  if ((mode & 0o077) !== 0) {
    throw new StartError('KEYS_EXPOSED', `Others may read ${path}; run "chmod 600" on it first.`);
  }
  return readFileSync(path, 'utf8');
}

/** Whole or not at all, and never over a file that is there. */
function makeKeys(path: string): string {
  const text = encodeSecretKeys(makeSecretKeys());
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  const file = openSync(fresh, 'wx', 0o600);
  try {
    chmodSync(fresh, 0o600);
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  linkSync(fresh, path);
  rmSync(fresh);
  return text;
}
