import { copyFile, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/host/exec.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

/** A grid's own release, whose parts a journey replaces. */
export type Publisher = {
  /** Puts another file into the release and signs it; its SHA-256. */
  readonly publish: (name: ReleasePart, path: string) => Promise<string>;
  /** What was built, and released at first. */
  readonly released: (name: ReleasePart) => string;
};

type ReleasePart = 'vmlinuz' | 'initramfs.cpio' | 'system.erofs';

/** Publishes to the machines of a grid that has its own copy of the release. */
export function openPublisher(root: string, releasePath: string): Publisher {
  return {
    released: (name) => join(root, 'dist/release', name),
    publish: async (name, path) => {
      const part = join(releasePath, `${name}.part`);
      await copyFile(path, part);
      await rename(part, join(releasePath, name));
      const args = [join(root, 'boot/release.ts'), '--release', releasePath, 'sign'];
      await run({ file: process.execPath, args, cwd: root, deadlineMs: MINUTE_MS });
      return sha256Hex(await readFile(path));
    },
  };
}
