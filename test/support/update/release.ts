import { copyFile, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/host/exec.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

/** A release that a boot server serves, and whose system a journey replaces. */
export type Publisher = AsyncDisposable & {
  /** Puts another system into the release and signs it; its SHA-256. */
  readonly publish: (systemPath: string) => Promise<string>;
};

/** Keeps what was released aside, and puts it back at the end. */
export async function openPublisher(root: string, folder: string): Promise<Publisher> {
  const released = join(root, 'dist/release/system.erofs');
  const aside = join(folder, 'released.erofs');
  await copyFile(released, aside);
  const publish = async (path: string): Promise<string> => {
    await copyFile(path, `${released}.part`);
    await rename(`${released}.part`, released);
    const args = [join(root, 'boot/release.ts')];
    await run({ file: process.execPath, args, cwd: root, deadlineMs: MINUTE_MS });
    return sha256Hex(await readFile(path));
  };
  return {
    publish,
    [Symbol.asyncDispose]: async () => void (await publish(aside)),
  };
}
