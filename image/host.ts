import { access, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TOOL_PATH } from '../src/host/exec.ts';
import { formatBytes, GiB } from '../src/lib/units.ts';
import { ImageError } from './errors.ts';

/** The tools of this machine that a build needs, and the Debian package of each. */
export const BUILD_TOOLS = {
  'dpkg-deb': 'dpkg',
  'musl-gcc': 'musl-tools',
  strip: 'binutils',
} as const;

/** What moving the pins on needs on top: the signature and the index are checked with these. */
export const PIN_TOOLS = { gpgv: 'gpgv', xz: 'xz-utils' } as const;

/** Unpacked packages, two executables, both images and their parts. */
const SPACE_BYTES_MIN = 2 * GiB;

/** Throws one sentence with all that is missing and how to get it. */
export async function requireTools(tools: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const name of Object.keys(tools)) {
    const places = TOOL_PATH.split(':').map(async (folder) => access(join(folder, name)));
    await Promise.any(places).catch(() => missing.push(name));
  }
  if (missing.length === 0) return;
  const packages = missing.map((name) => tools[name]).join(' ');
  const sentence = `This machine lacks ${missing.join(', ')}; run: apt-get install ${packages}`;
  throw new ImageError('TOOL_MISSING', sentence);
}

/** Throws when the folder's disk is too full to build on. */
export async function requireSpace(folder: string): Promise<void> {
  const disk = await statfs(folder);
  const freeBytes = disk.bavail * disk.bsize;
  if (freeBytes >= SPACE_BYTES_MIN) return;
  const wanted = `${formatBytes(SPACE_BYTES_MIN)} are needed, ${formatBytes(freeBytes)} are free`;
  throw new ImageError('SPACE_SHORT', `There is too little room in ${folder}: ${wanted}.`);
}

/** Keeps a second build out of the folder until it is disposed of; one that died does not count. */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, 'building');
  const own = String(process.pid);
  for (;;) {
    const taken = await writeFile(path, own, { flag: 'wx' }).then(
      () => false,
      () => true,
    );
    if (!taken) break;
    const owner = await readFile(path, 'utf8').catch(() => '');
    if (owner !== '' && (await isAlive(owner))) {
      const where = `process ${owner}, in ${folder}`;
      const sentence = `Another build is at work (${where}); wait for its end.`;
      throw new ImageError('BUILD_RUNNING', sentence);
    }
    await rm(path, { force: true });
  }
  return { [Symbol.asyncDispose]: async () => rm(path, { force: true }) };
}

async function isAlive(pid: string): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}
