import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { concatBytes } from '../../src/lib/bytes.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';

/**
 * The key that the BIOS loader checks kernel and first stage with, and signatures that it can read:
 * OpenPGP, version 4 (RFC 4880), of which GRUB reads one form. Everything here is deterministic:
 * the same file and key give the same signature.
 */
export type LoaderKey = {
  readonly key: KeyObject;
  /** The public key packet, which is embedded in GRUB's core image. */
  readonly publicPacket: Uint8Array;
};

const KEY_BITS = 3072;
const PRIVATE_NAME = 'loader.key';
const PUBLIC_NAME = 'loader.pub';

/** The files that the loader reads and checks; each gets a `.sig` beside it. */
export const LOADED_FILES = ['vmlinuz', 'initramfs.cpio'] as const;

const PUBLIC_KEY_TAG = 6;
const SIGNATURE_TAG = 2;
const VERSION = 4;
const RSA = 1;
const SHA256 = 8;
const BINARY_DOCUMENT = 0;
const CREATION_TIME = 2;
const ISSUER = 16;

/**
 * The loader's key below `keysPath`, made on first use, mode 0600, with `loader.pub` beside it. Who
 * reads it can make every machine that boots by BIOS from such a loader start any kernel.
 */
export async function ensureLoaderKey(wish: {
  readonly keysPath: string;
  readonly nowMs: number;
}): Promise<LoaderKey> {
  const path = join(wish.keysPath, PRIVATE_NAME);
  const publicPath = join(wish.keysPath, PUBLIC_NAME);
  await mkdir(wish.keysPath, { recursive: true, mode: 0o700 });
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const key = text === undefined ? makeKey() : parseKey(text, path);
  const kept = await readFile(publicPath).catch(() => undefined);
  if (kept !== undefined && kept.length < 8) throw damaged(publicPath);
  const seconds = Math.floor(wish.nowMs / SECOND_MS);
  // The time in it is part of what signatures are made of, so it stays as it was first written.
  const createdSeconds = text === undefined ? seconds : (kept?.readUInt32BE(4) ?? seconds);
  const publicPacket = publicKeyPacket(key, createdSeconds);
  if (text === undefined) {
    const pem = key.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(path, pem, { mode: 0o600, flag: 'wx' });
  } else if (kept !== undefined && !kept.equals(publicPacket)) {
    throw damaged(publicPath);
  }
  await writeFile(publicPath, publicPacket);
  return { key, publicPacket };
}

function makeKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: KEY_BITS }).privateKey;
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw damaged(path, cause);
  }
}

function damaged(path: string, cause?: unknown): BootError {
  const sentence = `${path} is damaged; restore it from your backup.`;
  return new BootError('KEY_DAMAGED', sentence, { cause });
}

/** Signs what the loader reads in a release; throws `BootError` when a part is not built. */
export async function signLoaded(releasePath: string, key: LoaderKey): Promise<void> {
  for (const name of LOADED_FILES) {
    const path = join(releasePath, name);
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw new BootError('PART_MISSING', `${name} is not built yet; run npm run image.`, {
        cause,
      });
    });
    await writeFile(`${path}.sig.part`, detachedSignature(bytes, key));
    await rename(`${path}.sig.part`, `${path}.sig`);
  }
}

/** Section 5.5.2: version, time of creation, algorithm, modulus and exponent. */
function publicKeyPacket(key: KeyObject, createdSeconds: number): Uint8Array {
  const { n = '', e = '' } = createPublicKey(key).export({ format: 'jwk' });
  const body = concatBytes(
    bytes(VERSION),
    uint32(createdSeconds),
    bytes(RSA),
    mpi(Buffer.from(n, 'base64url')),
    mpi(Buffer.from(e, 'base64url')),
  );
  return packet(PUBLIC_KEY_TAG, body);
}

/**
 * A detached signature over a file (section 5.2.3, of a binary document). Its time is the key's
 * own, as GRUB does not look at it and two signatures of the same file should be the same.
 */
export function detachedSignature(file: Uint8Array, key: LoaderKey): Uint8Array {
  const body = key.publicPacket.subarray(PACKET_HEAD_BYTES);
  const created = body.subarray(1, 5);
  const hashed = subpacket(CREATION_TIME, created);
  const head = concatBytes(bytes(VERSION, BINARY_DOCUMENT, RSA, SHA256), uint16(hashed.length));
  const covered = concatBytes(head, hashed);
  // Section 5.2.4: what is hashed is the file, the signature's own head, and how long that is.
  const message = concatBytes(file, covered, bytes(VERSION, 0xff), uint32(covered.length));
  const digest = createHash('sha256').update(message).digest();
  const issuer = subpacket(ISSUER, keyIdOf(key.publicPacket));
  return packet(
    SIGNATURE_TAG,
    concatBytes(
      covered,
      uint16(issuer.length),
      issuer,
      digest.subarray(0, 2),
      mpi(sign('sha256', message, key.key)),
    ),
  );
}

/** Section 12.2: the last eight bytes of the key's fingerprint. */
function keyIdOf(publicPacket: Uint8Array): Uint8Array {
  const body = publicPacket.subarray(PACKET_HEAD_BYTES);
  const covered = concatBytes(bytes(0x99), uint16(body.length), body);
  return new Uint8Array(createHash('sha1').update(covered).digest()).subarray(-8);
}

const PACKET_HEAD_BYTES = 3;

/** Section 4.2.1, the old format with a length of two bytes. */
function packet(tag: number, body: Uint8Array): Uint8Array {
  return concatBytes(bytes(0x80 | (tag << 2) | 1), uint16(body.length), body);
}

/** Section 5.2.3.1. */
function subpacket(type: number, body: Uint8Array): Uint8Array {
  return concatBytes(bytes(body.length + 1, type), body);
}

/** Section 3.2: a number, after its length in bits; it begins with no zero. */
function mpi(number: Uint8Array): Uint8Array {
  const start = number.findIndex((byte) => byte !== 0);
  const trimmed = number.subarray(Math.max(0, start));
  const bits = trimmed.length * 8 - Math.clz32(trimmed[0] ?? 0) + 24;
  return concatBytes(uint16(bits), trimmed);
}

function bytes(...values: readonly number[]): Uint8Array {
  return new Uint8Array(values);
}

function uint16(value: number): Uint8Array {
  return bytes(value >> 8, value & 0xff);
}

function uint32(value: number): Uint8Array {
  return concatBytes(uint16(value >>> 16), uint16(value & 0xffff));
}
