import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
import { freemem } from 'node:os';
import { syncFolder } from '../host/files.ts';
import { isMountPoint, mount } from '../host/mount.ts';
import { ZosError } from '../lib/errors.ts';
import type { NamedFile } from '../lib/names.ts';
import { formatBytes, MiB } from '../lib/units.ts';
import { type ImageGround, imagePath, MOUNT_FOLDER } from './plan.ts';

export class ImageError extends ZosError<
  'IMAGE_WRONG_LENGTH' | 'IMAGE_WRONG_DIGEST' | 'IMAGE_UNREACHABLE' | 'IMAGE_NO_SPACE'
> {}

/**
 * The folder of images, on the data disk or, without one, in memory. Whoever can write to it gains
 * nothing: every file is hashed again, whole, before it is mounted.
 */
export async function openImageStore(wish: {
  readonly dataPath: string | null;
  readonly signal?: AbortSignal;
}): Promise<ImageGround> {
  const folder = wish.dataPath === null ? '/run/zos/images/files' : `${wish.dataPath}/images`;
  const ground = { folder, mountFolder: MOUNT_FOLDER };
  await mkdir(ground.mountFolder, { recursive: true, mode: 0o711 });
  if (wish.dataPath === null && !(await isMountPoint(folder))) {
    // A file on tmpfs can't be mounted as EROFS: its pages can't be read one by one.
    const options = ['nosuid', 'nodev', 'noexec', 'mode=0700'];
    const { signal } = wish;
    const abort = signal === undefined ? {} : { signal };
    await mount({ type: 'ramfs', source: 'zos-images', path: folder, options, ...abort });
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Nobody fetches yet: what was half fetched when the agent ended is nobody's.
  const names: string[] = await readdir(folder);
  for (const name of names) if (name.endsWith('.part')) await rm(`${folder}/${name}`);
  return ground;
}

/** Throws `ImageError` unless the file has exactly the bytes that the image is named by. */
export async function verifyImage(
  image: NamedFile,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const { size } = await stat(path);
  const facts = { sha256: image.sha256 };
  if (size !== image.lengthBytes) {
    throw new ImageError(
      'IMAGE_WRONG_LENGTH',
      `The image has ${size} bytes and not ${image.lengthBytes}; correct the deployment file.`,
      { facts },
    );
  }
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: MiB, signal })) {
    hash.update(part as Uint8Array);
  }
  if (hash.digest('hex') !== image.sha256) {
    const sentence = 'The image has other bytes than the contract names; check its source.';
    throw new ImageError('IMAGE_WRONG_DIGEST', sentence, { facts });
  }
}

/** Whether the image's file is there with the right length; its bytes are checked when mounted. */
export async function hasImage(image: NamedFile, ground: ImageGround): Promise<boolean> {
  const found = await stat(imagePath(ground, image.sha256)).catch(() => undefined);
  return found?.size === image.lengthBytes;
}

/** Gives a fetched file that was verified its name, lasting over a power cut. */
export async function keepImage(
  image: NamedFile,
  partPath: string,
  ground: ImageGround,
): Promise<void> {
  await using file = await open(partPath, 'r');
  await file.sync();
  await rename(partPath, imagePath(ground, image.sha256));
  await syncFolder(ground.folder);
}

/** Throws an image's file away. */
export async function dropImage(sha256: string, ground: ImageGround): Promise<void> {
  await rm(imagePath(ground, sha256), { force: true });
}

/** Notes that an image was used, so that others are thrown away before it. */
export async function touchImage(
  sha256: string,
  ground: ImageGround,
  nowMs: number,
): Promise<void> {
  await utimes(imagePath(ground, sha256), nowMs / 1000, nowMs / 1000);
}

/**
 * Makes room: images that nobody has mounted go, the one longest unused first. Throws `ImageError`
 * when that is not enough.
 */
export async function makeRoom(wish: {
  readonly ground: ImageGround;
  readonly neededBytes: number;
  readonly inUse: ReadonlySet<string>;
  readonly roomBytes?: number;
}): Promise<void> {
  const { ground, neededBytes, inUse } = wish;
  let roomBytes = wish.roomBytes ?? (await freeBytes(ground.folder));
  for (const { sha256, lengthBytes } of await unusedImages(ground, inUse)) {
    if (roomBytes >= neededBytes) return;
    await dropImage(sha256, ground);
    roomBytes += lengthBytes;
  }
  if (roomBytes >= neededBytes) return;
  throw new ImageError(
    'IMAGE_NO_SPACE',
    `The image takes ${formatBytes(neededBytes)} and there is room for ${formatBytes(roomBytes)}.`,
    { facts: { neededBytes, roomBytes } },
  );
}

/** Memory has no size of its own: what is in it is bounded by what is free on the machine. */
async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize, blocks } = await statfs(folder);
  if (blocks > 0) return bavail * bsize;
  return Math.floor(freemem() / 2);
}

async function unusedImages(
  ground: ImageGround,
  inUse: ReadonlySet<string>,
): Promise<{ sha256: string; lengthBytes: number }[]> {
  const names: string[] = await readdir(ground.folder);
  const ours = names.flatMap((name) => /^([0-9a-f]{64})\.erofs$/u.exec(name)?.[1] ?? []);
  const unused = await Promise.all(
    ours
      .filter((sha256) => !inUse.has(sha256))
      .map(async (sha256) => {
        const { size, mtimeMs } = await stat(imagePath(ground, sha256));
        return { sha256, lengthBytes: size, usedAtMs: mtimeMs };
      }),
  );
  return unused.toSorted((a, b) => a.usedAtMs - b.usedAtMs);
}
