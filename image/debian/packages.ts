import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fetchToFile } from '../../src/host/http.ts';
import { run } from '../../src/host/exec.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { formatBytes, MINUTE_MS } from '../../src/lib/units.ts';
import { ImageError } from '../errors.ts';
import { UPDATE_COMMAND } from './pins.ts';
import type { PackagePin, Pins } from './pins.ts';

export type FetchPackages = {
  readonly pins: Pins;
  /** Downloads: anybody may write here, every use checks the hash first. */
  readonly cache: string;
  /** The mirror is looked up only when something is missing. */
  readonly findMirror: () => Promise<string>;
  readonly say: (line: string) => void;
};

/** Every pinned package in the cache, checked: name -> path of its `.deb`. */
export async function fetchPackages(wish: FetchPackages): Promise<Map<string, string>> {
  await mkdir(wish.cache, { recursive: true });
  const paths = new Map<string, string>();
  for (const [name, pin] of Object.entries(wish.pins.packages)) {
    const path = join(wish.cache, basename(pin.path));
    if ((await sha256OfFile(path)) !== pin.sha256) await fetchPackage(wish, { name, pin, path });
    paths.set(name, path);
  }
  return paths;
}

type Wanted = { readonly name: string; readonly pin: PackagePin; readonly path: string };

async function fetchPackage(wish: FetchPackages, { name, pin, path }: Wanted): Promise<void> {
  wish.say(`fetching ${name} ${pin.version} (${formatBytes(pin.lengthBytes)})`);
  const url = `${await wish.findMirror()}/${pin.path}`;
  const part = `${path}.part`;
  const limits = { bytesMax: pin.lengthBytes, deadlineMs: 30 * MINUTE_MS };
  try {
    await fetchToFile({ url, path: part, ...limits });
  } catch (cause) {
    await rm(part, { force: true });
    if (codeOf(cause) !== 'HTTP_STATUS') throw cause;
    throw new ImageError(
      'PIN_GONE',
      `The mirror no longer has ${name} ${pin.version}; move the pins on with ${UPDATE_COMMAND}.`,
      { cause },
    );
  }
  if ((await sha256OfFile(part)) !== pin.sha256) {
    await rm(part, { force: true });
    throw new ImageError(
      'PIN_MISMATCH',
      `${name} ${pin.version} from the mirror is not the pinned file; use another mirror, ` +
        `or look at what changed with ${UPDATE_COMMAND}.`,
    );
  }
  await rename(part, path);
}

/** Where each package is unpacked: name -> a folder of its own, named by its hash. */
export function packageFolders(pins: Pins, folder: string): Map<string, string> {
  const named = Object.entries(pins.packages).map(([name, { sha256 }]): [string, string] => [
    name,
    join(folder, `${name}-${sha256.slice(0, 16)}`),
  ]);
  return new Map(named);
}

/** Unpacks each package once. What is in the folders is read, or run as a build tool. */
export async function unpackPackages(wish: {
  readonly folders: ReadonlyMap<string, string>;
  readonly paths: ReadonlyMap<string, string>;
}): Promise<void> {
  for (const [name, path] of wish.paths) {
    const folder = wish.folders.get(name);
    if (folder === undefined || (await stat(folder).catch(() => undefined))) continue;
    const part = `${folder}.part`;
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true });
    await run({ file: 'dpkg-deb', args: ['--extract', path, part], deadlineMs: 5 * MINUTE_MS });
    await rename(part, folder);
  }
}

/** SHA-256 of a file in hexadecimal, or `undefined` when there is none. */
export async function sha256OfFile(path: string): Promise<string | undefined> {
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Uint8Array);
  return hash.digest('hex');
}
