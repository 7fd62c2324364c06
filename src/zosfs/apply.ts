import { rmdir } from 'node:fs/promises';
import { readClock } from '../host/clock.ts';
import { mount, unmount } from '../host/mount.ts';
import type { Driver } from '../lib/driver.ts';
import type { NamedFile } from '../lib/names.ts';
import { fetchImage } from './fetch.ts';
import { observeImages } from './observe.ts';
import {
  compareImage,
  type ImageGround,
  type ImageHave,
  imageMountPath,
  imagePath,
} from './plan.ts';
import { dropImage, hasImage, ImageError, makeRoom, touchImage, verifyImage } from './store.ts';

/** Images by SHA-256: fetched, hashed whole, and mounted read-only, each time. */
export function imageDriver(ground: ImageGround): Driver<NamedFile, ImageHave> {
  return {
    kind: 'image',
    observe: async () => observeImages(ground),
    compare: compareImage,
    create: async (image, signal) => mountImage(image, ground, signal),
    update: async (image, _have, signal) => mountImage(image, ground, signal),
    remove: async (_id, have, signal) => {
      // The file stays until its room is needed: the next contract may name it again.
      if (have.isMounted) await unmount(have.mountPath, signal);
      await rmdir(have.mountPath);
    },
  };
}

async function mountImage(
  image: NamedFile,
  ground: ImageGround,
  signal: AbortSignal,
): Promise<void> {
  const source = imagePath(ground, image.sha256);
  if (await hasImage(image, ground)) {
    try {
      // What was right when it was fetched may be wrong now: the disk is not trusted.
      await verifyImage(image, source, signal);
    } catch (error) {
      if (error instanceof ImageError) await dropImage(image.sha256, ground);
      throw error;
    }
  } else {
    const inUse = new Set((await observeImages(ground)).keys());
    await makeRoom({ ground, neededBytes: image.lengthBytes, inUse });
    await fetchImage(image, ground, signal);
  }
  const path = imageMountPath(image.sha256, ground.mountFolder);
  await mount({ type: 'erofs', source, path, options: ['ro', 'nodev', 'nosuid'], signal });
  await touchImage(image.sha256, ground, (await readClock()).nowMs);
}
