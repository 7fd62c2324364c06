import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchToFile } from '../../src/host/http.ts';
import { run } from '../../src/host/exec.ts';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { MiB, MINUTE_MS } from '../../src/lib/units.ts';
import { ImageError } from '../errors.ts';
import type { PackagePin, Pins } from './pins.ts';

const CODENAME = 'trixie';
/** Everything but firmware is in main; vendors' firmware is in the component made for it. */
const COMPONENTS = ['main', 'non-free-firmware'] as const;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const INDEX_BYTES_MAX = 32 * MiB;
const INDEX_TEXT_BYTES_MAX = 256 * MiB;
/** Debian's stock kernel for x86-64 servers: this package depends on the newest one. */
const KERNEL_META = 'linux-image-amd64';

export type Fields = Readonly<Record<string, string>>;
type ReadIndex = { mirror: string; folder: string };

/**
 * The pins for `names` as Debian's signed index has them today: InRelease is checked by gpgv
 * against Debian's keyring, the package lists against the hashes in InRelease.
 */
export async function choosePins(
  wish: ReadIndex & { names: readonly string[] },
): Promise<Pick<Pins, 'release' | 'kernel' | 'packages'>> {
  await rm(wish.folder, { recursive: true, force: true });
  await mkdir(wish.folder, { recursive: true });
  const { text, release } = await readRelease(wish);
  const found = new Map<string, Fields>();
  for (const component of COMPONENTS) {
    for (const fields of await readPackages({ ...wish, component, release: text })) {
      found.set(fields['Package'] ?? '', fields);
    }
  }
  const kernel = kernelOf(found);
  const packages: Record<string, PackagePin> = {};
  for (const name of [...wish.names, kernel.package]) packages[name] = pinOf(name, found.get(name));
  return { release, kernel, packages };
}

async function readRelease(wish: ReadIndex): Promise<{ text: string; release: Pins['release'] }> {
  const path = join(wish.folder, 'InRelease');
  const url = `${wish.mirror}/dists/${CODENAME}/InRelease`;
  await fetchToFile({ url, path, bytesMax: MiB, deadlineMs: MINUTE_MS });
  const signed = join(wish.folder, 'Release');
  try {
    // What gpgv writes to `signed` is only what the signature covers.
    await run({ file: 'gpgv', args: ['--keyring', KEYRING, '--output', signed, path] });
  } catch (cause) {
    throw new ImageError(
      'MIRROR_UNTRUSTED',
      `${url} is not signed by Debian; check the mirror, and that gpgv and ` +
        'debian-archive-keyring are installed.',
      { cause },
    );
  }
  const text = await readFile(signed, 'utf8');
  const fields = fieldsOf(text);
  return {
    text,
    release: {
      codename: CODENAME,
      version: fields['Version'] ?? '',
      date: new Date(fields['Date'] ?? '').toISOString(),
      inReleaseSha256: sha256Hex(await readFile(path)),
    },
  };
}

type ReadPackages = ReadIndex & { component: string; release: string };

async function readPackages(wish: ReadPackages): Promise<Fields[]> {
  const name = `${wish.component}/binary-amd64/Packages.xz`;
  const expected = sha256In(wish.release, name);
  const path = join(wish.folder, `${wish.component}.xz`);
  const url = `${wish.mirror}/dists/${CODENAME}/${name}`;
  await fetchToFile({ url, path, bytesMax: INDEX_BYTES_MAX, deadlineMs: 5 * MINUTE_MS });
  if (sha256Hex(await readFile(path)) !== expected) {
    throw new ImageError('MIRROR_UNTRUSTED', `${url} is not what Debian signed; try again later.`);
  }
  const text = await run({
    file: 'xz',
    args: ['--decompress', '--stdout', path],
    deadlineMs: MINUTE_MS,
    outputBytesMax: INDEX_TEXT_BYTES_MAX,
  });
  return text.split('\n\n').map(fieldsOf);
}

/** The SHA-256 that a Release file gives for one of its indexes. */
function sha256In(release: string, name: string): string {
  const sums = release.slice(release.indexOf('\nSHA256:'));
  const line = sums.split('\n').find((entry) => entry.endsWith(` ${name}`));
  const sum = line?.trim().split(/\s+/u)[0];
  if (sum !== undefined && /^[0-9a-f]{64}$/u.test(sum)) return sum;
  throw new ImageError('MIRROR_UNTRUSTED', `Debian's signed index names no ${name}.`);
}

/** `Name: value` lines of one paragraph; continuation lines are left out. */
export function fieldsOf(paragraph: string): Fields {
  const lines = paragraph.matchAll(/^([\w-]+): (.*)$/gmu);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

function kernelOf(found: ReadonlyMap<string, Fields>): Pins['kernel'] {
  const depends = found.get(KERNEL_META)?.['Depends'] ?? '';
  const name = /linux-image-(\d\S+)/u.exec(depends);
  if (name?.[1] !== undefined) return { package: name[0], release: name[1] };
  throw new ImageError('PIN_GONE', `Debian ${CODENAME} has no ${KERNEL_META} on this mirror.`);
}

function pinOf(name: string, fields: Fields | undefined): PackagePin {
  const { Version: version, SHA256: sha256, Size: size, Filename: path } = fields ?? {};
  if (version && sha256 && size && path)
    return { version, sha256, lengthBytes: Number(size), path };
  throw new ImageError(
    'PIN_GONE',
    `Debian ${CODENAME} has no package ${name}; see image/files.ts.`,
  );
}
