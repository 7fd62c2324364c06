import { copyFile, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/host/exec.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

/** A release that a boot server serves, and whose parts a journey replaces. */
export type Publisher = AsyncDisposable & {
  /** Puts another file into the release and signs it; its SHA-256. */
  readonly publish: (name: ReleasePart, path: string) => Promise<string>;
  /** What was released at first. */
  readonly released: (name: ReleasePart) => string;
};

const PARTS = ['vmlinuz', 'initramfs.cpio', 'system.erofs'] as const;
type ReleasePart = (typeof PARTS)[number];

/** Keeps what was released aside, and puts it back at the end. */
export async function openPublisher(root: string, folder: string): Promise<Publisher> {
  const release = join(root, 'dist/release');
  const released = (name: ReleasePart): string => join(folder, `released-${name}`);
  for (const name of PARTS) await copyFile(join(release, name), released(name));
  const replaced = new Set<ReleasePart>();
  const replace = async (name: ReleasePart, path: string): Promise<void> => {
    await copyFile(path, join(release, `${name}.part`));
    await rename(join(release, `${name}.part`), join(release, name));
  };
  const sign = async (): Promise<void> => {
    const args = [join(root, 'boot/release.ts')];
    await run({ file: process.execPath, args, cwd: root, deadlineMs: MINUTE_MS });
  };
  return {
    released,
    publish: async (name, path) => {
      replaced.add(name);
      await replace(name, path);
      await sign();
      return sha256Hex(await readFile(path));
    },
    [Symbol.asyncDispose]: async () => {
      for (const name of replaced) await replace(name, released(name));
      await sign();
    },
  };
}
