import { X509Certificate } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  expectedFirstStage,
  listInUpdate,
  type SignedBoot,
} from '../../src/attestation/expected.ts';
import {
  type FirstStage,
  type Measurements,
  parseMeasurements,
} from '../../src/attestation/spec.ts';
import { sha256Hex, toBase64, utf8 } from '../../src/lib/bytes.ts';

/**
 * So many first stages, systems and kernels count as good at a time, as nodes may still run them,
 * or have been updated from them. What drops out can't be proven any more: to take a release back
 * at once, delete `measurements.json` and sign again.
 */
const KEPT_MAX = 16;
const LOADER = 'systemd-bootx64.efi';

export type MeasurementsWish = {
  /** Holds `zos.efi` and `system.erofs`; `measurements.json` is put there. */
  readonly releasePath: string;
  /** Holds `secure-boot/*.auth`, and `endorsement/`: certificates of makers of TPMs, PEM or DER. */
  readonly keysPath: string;
  /** The release's name, as people read it. */
  readonly release: string;
};

/**
 * Writes `measurements.json` for what is about to be signed: what the registers of an honest node
 * hold, computed from the signed files and no machine. Without `zos.efi` it names no first stage.
 */
export async function writeMeasurements(wish: MeasurementsWish): Promise<void> {
  const { releasePath, keysPath } = wish;
  const path = join(releasePath, 'measurements.json');
  const uki = await readPart(releasePath, 'zos.efi');
  const lists = await readLists(keysPath);
  const before = await readBefore(path);
  const fresh =
    uki === undefined || lists === undefined
      ? []
      : waysOf(uki, await readPart(releasePath, LOADER)).map((programs) =>
          expectedFirstStage({ release: wish.release, programs, lists }),
        );
  const digestsOf = async (...names: readonly string[]): Promise<string[]> =>
    (await Promise.all(names.map(async (name) => readPart(releasePath, name)))).flatMap(digestOf);
  const measurements: Measurements = {
    firstStages: newest([...fresh, ...before.firstStages], nameOf),
    systems: newest([...(await digestsOf('system.erofs')), ...before.systems], String),
    // What a node goes to by kexec measures both.
    kernels: newest([...(await digestsOf('vmlinuz', 'initramfs.cpio')), ...before.kernels], String),
    endorsementRoots: await readMakers(join(keysPath, 'endorsement')),
  };
  const bytes = utf8(JSON.stringify(measurements));
  parseMeasurements(bytes);
  await writeFile(path, bytes, { mode: 0o644 });
}

/** From the network firmware starts `zos.efi` itself, from a stick the loader that has our keys. */
function waysOf(uki: Uint8Array, loader: Uint8Array | undefined): SignedBoot['programs'][] {
  const zos = { name: 'zos.efi', bytes: uki };
  return loader === undefined ? [[zos]] : [[zos], [{ name: LOADER, bytes: loader }, zos]];
}

async function readPart(folder: string, name: string): Promise<Uint8Array | undefined> {
  const bytes = await readFile(join(folder, name)).catch(() => undefined);
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}

async function readLists(
  keysPath: string,
): Promise<Record<'PK' | 'KEK' | 'db', Uint8Array> | undefined> {
  const folder = join(keysPath, 'secure-boot');
  const [PK, KEK, db] = await Promise.all(
    ['PK.auth', 'KEK.auth', 'db.auth'].map(async (name) => readPart(folder, name)),
  );
  if (PK === undefined || KEK === undefined || db === undefined) return undefined;
  return { PK: listInUpdate(PK), KEK: listInUpdate(KEK), db: listInUpdate(db) };
}

/** What the release before said; a file that is no such thing is written anew. */
async function readBefore(path: string): Promise<Measurements> {
  const none: Measurements = { firstStages: [], kernels: [], systems: [], endorsementRoots: [] };
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined) return none;
  try {
    return parseMeasurements(new Uint8Array(bytes));
  } catch {
    return none;
  }
}

/** The certificates of makers whose TPMs count, in a fixed order. */
async function readMakers(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => /\.(?:pem|crt|cer|der)$/u.test(name)).toSorted();
  const read = async (name: string): Promise<string> => {
    const certificate = new X509Certificate(await readFile(join(folder, name)));
    return toBase64(new Uint8Array(certificate.raw));
  };
  return Promise.all(files.map(read));
}

function digestOf(bytes: Uint8Array | undefined): string[] {
  return bytes === undefined ? [] : [sha256Hex(bytes)];
}

function nameOf({ pcr4, pcr7, pcr11 }: FirstStage): string {
  return [pcr4, pcr7, pcr11]
    .flat()
    .map(({ sha256 }) => sha256)
    .join();
}

/** Each once, the newest first, and no more than are kept. */
function newest<T>(all: readonly T[], name: (item: T) => string): T[] {
  const names = all.map((item) => name(item));
  return all.filter((_, at) => names.indexOf(names[at] ?? '') === at).slice(0, KEPT_MAX);
}
