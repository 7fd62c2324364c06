import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/lib/units.ts';
import { type GridFile, RELEASE_FILES } from '../../src/artifact/spec.ts';
import type { OnEvent } from './event.ts';
import { runScript } from './script.ts';

export type ReleaseWish = {
  /** The repository; a release is made in its `dist/`. */
  readonly root: string;
  /** What a build may know of this machine: where its mirror is, and how to get there. */
  readonly env: Readonly<Record<string, string>>;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
};

const BUILT = 'dist/release';
const PARTS = ['vmlinuz', 'initramfs.cpio', 'system.erofs'] as const;

const KNOWN_TO_BUILDS = ['ZOS_DEBIAN_MIRROR', 'NODE_EXTRA_CA_CERTS'];

/** Of a machine's environment, only what a build has to know to reach its mirror. */
export function buildEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    KNOWN_TO_BUILDS.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Makes the signing keys, where there are none, and the image, where its inputs changed. */
export async function buildImage(wish: ReleaseWish): Promise<void> {
  const subject = 'image';
  const say = (text: string): void => wish.onEvent({ subject, state: 'running', text });
  say('signing keys');
  await runScript({ ...wish, path: 'boot/release.ts', args: ['keys'] });
  const onLine = (line: string): void => say(line.replace(/^image: /u, ''));
  await runScript({ ...wish, path: 'image/build.ts', onLine });
  const sizes = await Promise.all(
    PARTS.map(async (name) => {
      const { size } = await stat(join(wish.root, BUILT, name));
      return `${name} ${formatBytes(size)}`;
    }),
  );
  wish.onEvent({ subject, state: 'done', text: sizes.join(', ') });
}

/** These are made when a grid is signed. */
const MADE_HERE: ReadonlySet<string> = new Set([
  'grid.json',
  'measurements.json',
  'vmlinuz.sig',
  'initramfs.cpio.sig',
]);

/** What was built, in a folder of a grid's own: so that grids can be side by side. */
export async function copyRelease(root: string, releasePath: string): Promise<void> {
  await mkdir(releasePath, { recursive: true });
  for (const name of RELEASE_FILES) {
    if (!MADE_HERE.has(name)) await copyFile(join(root, BUILT, name), join(releasePath, name));
  }
}

export type GridSigning = ReleaseWish & {
  readonly grid: GridFile;
  readonly directoryUrl: string;
  readonly releasePath: string;
};

/** Signs the release with the grid that its nodes shall belong to, and tells its directory. */
export async function signGrid(wish: GridSigning): Promise<void> {
  const subject = 'release';
  const where = ['--release', wish.releasePath];
  wish.onEvent({ subject, state: 'running', text: 'signing' });
  const path = join(wish.releasePath, 'grid.json');
  const text = `${JSON.stringify(wish.grid)}\n`;
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present !== text) await writeFile(path, text);
  const lines: string[] = [];
  const onLine = (line: string): void => void lines.push(line.replace(/^release: /u, ''));
  await runScript({ ...wish, path: 'boot/release.ts', args: [...where, 'sign'], onLine });
  // From now on machines that ask this directory take nothing that is older.
  const args = [...where, 'publish', '--directory', wish.directoryUrl];
  await runScript({ ...wish, path: 'boot/release.ts', args });
  wish.onEvent({ subject, state: 'done', text: lines.slice(-2).join('; ') });
}
