import { access, link, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TOOL_PATH } from '../src/host/exec.ts';
import { formatBytes, GiB, MINUTE_MS, SECOND_MS } from '../src/lib/units.ts';
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

const LOOK_AGAIN_MS = SECOND_MS;
const WAIT_MS_MAX = 20 * MINUTE_MS;

/**
 * Keeps a second build out of the folder until it is disposed of: the second one says so and waits;
 * one that died does not count.
 */
export async function lockFolder(
  folder: string,
  say: (line: string) => void,
): Promise<AsyncDisposable> {
  const path = join(folder, 'building');
  const own = `${path}-${process.pid}`;
  await writeFile(own, String(process.pid));
  try {
    for (let waitedMs = 0; !(await claim(own, path)); waitedMs += LOOK_AGAIN_MS) {
      const owner = await readFile(path, 'utf8').catch(() => '');
      const where = `process ${owner}, in ${folder}`;
      if (waitedMs === 0) say(`waits for another build (${where})`);
      if (waitedMs >= WAIT_MS_MAX) {
        throw new ImageError('BUILD_RUNNING', `Another build does not end (${where}); end it.`);
      }
      if (owner !== '' && !(await isAlive(owner))) await rm(path, { force: true });
      else await sleep(LOOK_AGAIN_MS);
    }
  } finally {
    await rm(own, { force: true });
  }
  return { [Symbol.asyncDispose]: async () => rm(path, { force: true }) };
}

/** A link is made whole, with the owner in it, or not at all. */
async function claim(own: string, path: string): Promise<boolean> {
  return link(own, path).then(
    () => true,
    () => false,
  );
}

async function isAlive(pid: string): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}
