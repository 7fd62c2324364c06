import { rm, stat } from 'node:fs/promises';
import { fetchToFile } from '../host/http.ts';
import type { NamedFile } from '../lib/names.ts';
import { HOUR_MS } from '../lib/units.ts';
import { sentenceOf } from '../lib/errors.ts';
import { type ImageGround, imagePath } from './plan.ts';
import { ImageError, keepImage, verifyImage } from './store.ts';

const DEADLINE_MS = HOUR_MS;

/**
 * Fetches an image from the first of its sources that gives exactly its bytes; a source that gives
 * others, or more, is left at once. Throws `ImageError` with what each of them did.
 */
export async function fetchImage(
  image: NamedFile,
  ground: ImageGround,
  signal?: AbortSignal,
): Promise<void> {
  const path = partPath(ground, image.sha256);
  const refusals: string[] = [];
  for (const url of image.sources) {
    try {
      await fetchToFile({
        url,
        path,
        bytesMax: image.lengthBytes,
        deadlineMs: DEADLINE_MS,
        ...(signal === undefined ? {} : { signal }),
      });
      await verifyImage(image, path, signal);
      await keepImage(image, path, ground);
      return;
    } catch (error) {
      await rm(path, { force: true });
      signal?.throwIfAborted();
      refusals.push(sentenceOf(error));
    }
  }
  throw new ImageError('IMAGE_UNREACHABLE', `No source gave the image: ${refusals.join(' ')}`, {
    facts: { sha256: image.sha256 },
  });
}

/** How much of an image is here already: what it waits for, in numbers. */
export async function fetchedBytes(image: NamedFile, ground: ImageGround): Promise<number> {
  const paths = [imagePath(ground, image.sha256), partPath(ground, image.sha256)];
  const sizes = await Promise.all(
    paths.map(async (path) => (await stat(path).catch(() => undefined))?.size ?? 0),
  );
  return Math.max(...sizes);
}

function partPath({ folder }: ImageGround, sha256: string): string {
  return `${folder}/${sha256}.part`;
}
