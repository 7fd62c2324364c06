import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { authenticodeSha256, withoutSignatures } from '../../src/lib/pe.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { run } from '../../src/host/exec.ts';
import { BootError } from '../errors.ts';

/**
 * The keys of UEFI Secure Boot (UEFI 2.10, section 32.3): who owns the platform, who may change the
 * list of keys, and whose programs start. Each signs the next where a firmware takes them.
 */
export const SECURE_BOOT_NAMES = ['PK', 'KEK', 'db'] as const;
export type SecureBootName = (typeof SECURE_BOOT_NAMES)[number];

type Files = { readonly keyPath: string; readonly certificatePath: string };

export type SecureBootKeys = Readonly<Record<SecureBootName, Files>> & {
  /** Holds `PK.auth`, `KEK.auth` and `db.auth`: what a firmware in setup mode takes. */
  readonly folder: string;
};

/** Who put a key into a list of keys; the same for all of ours. */
const OWNER = '5a65726f-4f53-4b65-7973-000000000000';
/** Nothing checks when a key of Secure Boot ends; it must only not lie in the past for openssl. */
const LIFETIME_DAYS = 20 * 365;

/**
 * The keys below `keysPath/secure-boot`, made on first use, mode 0600. Who reads db's key can make
 * every machine that took these keys start anything.
 */
export async function ensureSecureBootKeys(keysPath: string): Promise<SecureBootKeys> {
  const folder = join(keysPath, 'secure-boot');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = (name: SecureBootName): Files => ({
    keyPath: join(folder, `${name}.key`),
    certificatePath: join(folder, `${name}.crt`),
  });
  const keys = { folder, PK: files('PK'), KEK: files('KEK'), db: files('db') };
  for (const name of SECURE_BOOT_NAMES) await ensurePair(name, keys[name]);
  await ensureUpdate(keys, { name: 'PK', by: 'PK' });
  await ensureUpdate(keys, { name: 'KEK', by: 'PK' });
  await ensureUpdate(keys, { name: 'db', by: 'KEK' });
  return keys;
}

async function ensurePair(name: SecureBootName, files: Files): Promise<void> {
  const { keyPath, certificatePath } = files;
  const isThere = await Promise.all([isFile(keyPath), isFile(certificatePath)]);
  if (isThere.every(Boolean)) return;
  if (isThere.some(Boolean)) {
    throw new BootError(
      'KEY_DAMAGED',
      `Of ${keyPath} and ${certificatePath} one is missing; restore it from your backup.`,
    );
  }
  const subject = `/CN=Zero-OS Secure Boot ${name}`;
  await run({
    file: 'openssl',
    args: [
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-sha256', '-subj', subject],
      ['-days', `${LIFETIME_DAYS}`, '-keyout', `${keyPath}.part`, '-out', certificatePath],
    ].flat(),
    deadlineMs: MINUTE_MS,
  });
  await chmod(`${keyPath}.part`, 0o600);
  await rename(`${keyPath}.part`, keyPath);
}

type Update = { readonly name: SecureBootName; readonly by: SecureBootName };

/** A variable with its one key in it, signed so that firmware takes it (UEFI 2.10, 8.2.2). */
async function ensureUpdate(keys: SecureBootKeys, { name, by }: Update): Promise<void> {
  const path = join(keys.folder, `${name}.auth`);
  if (await isFile(path)) return;
  const list = `${path}.list`;
  const { keyPath, certificatePath } = keys[by];
  const owner = ['-g', OWNER];
  await run({
    file: 'cert-to-efi-sig-list',
    args: [...owner, keys[name].certificatePath, list],
  });
  const signer = ['-k', keyPath, '-c', certificatePath];
  await run({
    file: 'sign-efi-sig-list',
    args: [...owner, ...signer, name, list, `${path}.part`],
  });
  await rename(`${path}.part`, path);
  await rm(list);
}

/** A hash over the public halves, by which what was made with them can be found again. */
export async function nameKeys(keys: SecureBootKeys): Promise<string> {
  const paths = SECURE_BOOT_NAMES.map((name) => keys[name].certificatePath);
  return sha256Hex(...(await Promise.all(paths.map((path) => readFile(path)))));
}

export type CodeWish = {
  /** An executable for UEFI, with or without a signature of somebody else. */
  readonly from: string;
  readonly to: string;
  readonly keys: SecureBootKeys;
};

/**
 * Signs an executable for UEFI with db's key, in place of whoever signed it before: firmware and
 * kernel look at the first signature only. What is signed already stays as it is, since a signature
 * tells its time. Throws `BootError`.
 */
export async function signCode({ from, to, keys }: CodeWish): Promise<void> {
  const unsigned = withoutSignatures(await readFile(from));
  const { keyPath, certificatePath } = keys.db;
  if (await isSignedAs(to, authenticodeSha256(unsigned), certificatePath)) return;
  const bare = `${to}.bare`;
  const part = `${to}.part`;
  await writeFile(bare, unsigned);
  const args = ['--key', keyPath, '--cert', certificatePath, '--output', part, bare];
  await run({ file: 'sbsign', args, deadlineMs: MINUTE_MS });
  await rm(bare);
  await chmod(part, 0o644);
  await rename(part, to);
}

/** Whether a file holds the program of this digest with a good signature of this certificate. */
async function isSignedAs(path: string, sha256: string, certificatePath: string): Promise<boolean> {
  try {
    if (authenticodeSha256(await readFile(path)) !== sha256) return false;
    await run({ file: 'sbverify', args: ['--cert', certificatePath, path], deadlineMs: MINUTE_MS });
    return true;
  } catch {
    return false;
  }
}

function isFile(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
