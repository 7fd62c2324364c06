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
import nacl from 'tweetnacl';
import { signIdentity, verifyIdentity } from '../identity/document.ts';
import type { Envelope } from '../identity/envelope.ts';
import { decodeSecretKeys, encodeSecretKeys, makeSecretKeys } from '../identity/keys.ts';
import type { SecretKeys } from '../identity/keys.ts';
import { fromBase64, toBase64 } from '../lib/bytes.ts';
import type { NoteSigner } from '../record/note.ts';
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
  const keys = decodeSecretKeys(
    openSecret(folder, 'keys', () => encodeSecretKeys(makeSecretKeys())),
  );
  // Signing is deterministic (RFC 8032), so the document comes out the same at every start.
  const document = signIdentity('directory', keys);
  return { keys, document, id: verifyIdentity(document).id };
}

/**
 * The key that signs the record's heads, out of `folder`/log.key, made on the first start; it signs
 * nothing else. Whoever reads it can show a history of their own, which no witness who saw this one
 * cosigns and no node takes. `origin` is the log's name.
 */
export function openLogKey(folder: string, grid: string): NoteSigner {
  const text = openSecret(folder, 'log.key', () => {
    const seed = nacl.randomBytes(nacl.sign.seedLength);
    return `${toBase64(seed)}\n`;
  });
  const seed = fromBase64(text.trim());
  if (seed?.length !== nacl.sign.seedLength) {
    const sentence = `${join(folder, 'log.key')} holds no key; restore it from a backup.`;
    throw new StartError('FOLDER_UNUSABLE', sentence);
  }
  return { name: `${grid}.zos/record`, ...nacl.sign.keyPair.fromSeed(seed) };
}

function openSecret(folder: string, name: string, make: () => string): string {
  const path = join(folder, name);
  try {
    makeFolder(resolve(folder));
    return readKeys(path) ?? writeKeys(path, make());
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

/** Whole or not at all, and never over a file that is there: another process may be faster. */
function writeKeys(path: string, text: string): string {
  const fresh = `${path}.${process.pid}.new`;
  rmSync(fresh, { force: true });
  const file = openSync(fresh, 'wx', 0o600);
  try {
    chmodSync(fresh, 0o600);
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(fresh, path);
    return text;
  } catch (error) {
    const theirs = readKeys(path);
    if (theirs === undefined) throw error;
    return theirs;
  } finally {
    rmSync(fresh);
  }
}
