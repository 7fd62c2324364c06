import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/lib/units.ts';
import type { GridFile } from '../../src/artifact/spec.ts';
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

const PARTS = ['vmlinuz', 'initramfs.cpio', 'system.erofs'] as const;

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
      const { size } = await stat(join(wish.root, 'dist/release', name));
      return `${name} ${formatBytes(size)}`;
    }),
  );
  wish.onEvent({ subject, state: 'done', text: sizes.join(', ') });
}

/** Signs the release with the grid that its nodes shall belong to, and tells its directory. */
export async function signGrid(
  wish: ReleaseWish & { readonly grid: GridFile; readonly directoryUrl: string },
): Promise<void> {
  const subject = 'release';
  wish.onEvent({ subject, state: 'running', text: 'signing' });
  const path = join(wish.root, 'dist/release/grid.json');
  const text = `${JSON.stringify(wish.grid)}\n`;
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present !== text) await writeFile(path, text);
  const lines: string[] = [];
  const onLine = (line: string): void => void lines.push(line.replace(/^release: /u, ''));
  await runScript({ ...wish, path: 'boot/release.ts', onLine });
  // From now on machines that ask this directory take nothing that is older.
  const args = ['publish', '--directory', wish.directoryUrl];
  await runScript({ ...wish, path: 'boot/release.ts', args });
  wish.onEvent({ subject, state: 'done', text: lines.slice(-2).join('; ') });
}
