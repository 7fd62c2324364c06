import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the build reads and writes. */
export type Paths = {
  /** The repository. */
  readonly root: string;
  /** Downloads, each checked by its hash whenever it is used. */
  readonly cache: string;
  readonly work: string;
  readonly release: string;
  /** Tenants' images for the sample deployment. */
  readonly images: string;
  /** The Update Framework's root keys, made before the first image is. */
  readonly trustedRoot: string;
  /** The public key that a BIOS loader checks with, made before the first image is. */
  readonly loaderKey: string;
  /** Which files the bundle in `zos-node` was made of. */
  readonly bundleInputs: string;
};

/** The build's folders below `dist`, or below another folder for a build of its own. */
export function imagePaths(below = 'dist'): Paths {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const work = join(root, below, 'work');
  return {
    root,
    cache: join(root, 'dist/cache'),
    work,
    release: join(root, below, 'release'),
    images: join(root, below, 'images'),
    trustedRoot: join(root, 'dist/keys/root.json'),
    loaderKey: join(root, 'dist/keys/loader.pub'),
    bundleInputs: join(work, 'zos-node.inputs.json'),
  };
}
