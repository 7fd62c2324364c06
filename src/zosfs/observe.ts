import { readdir } from 'node:fs/promises';
import { listMounts } from '../host/mount.ts';
import type { ImageGround, ImageHave } from './plan.ts';

/** Every image that is mounted or has a folder to be mounted at, by its SHA-256. */
export async function observeImages(ground: ImageGround): Promise<ReadonlyMap<string, ImageHave>> {
  const mounted = new Set((await listMounts(ground.mountFolder)).map(({ path }) => path));
  const names: string[] = await readdir(ground.mountFolder).catch(() => []);
  return new Map(
    names.map((sha256) => {
      const mountPath = `${ground.mountFolder}/${sha256}`;
      return [sha256, { sha256, mountPath, isMounted: mounted.has(mountPath) }];
    }),
  );
}
