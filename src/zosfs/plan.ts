import type { Difference } from '../lib/driver.ts';
import { NO_DIFFERENCE } from '../lib/driver.ts';
import type { NamedFile } from '../lib/names.ts';

/** Where images lie and are mounted on this node. */
export type ImageGround = {
  /** On the data disk, or in memory when there is none; EROFS mounts a file from ext4 or ramfs. */
  readonly folder: string;
  readonly mountFolder: string;
};

/** An image that is mounted, or that was being made ready. */
export type ImageHave = {
  readonly sha256: string;
  readonly mountPath: string;
  readonly isMounted: boolean;
};

export const MOUNT_FOLDER = '/run/zos/images/mnt';

/** Where an image's file lies. */
export function imagePath({ folder }: Pick<ImageGround, 'folder'>, sha256: string): string {
  return `${folder}/${sha256}.erofs`;
}

/** Where an image is mounted. */
export function imageMountPath(sha256: string, mountFolder = MOUNT_FOLDER): string {
  return `${mountFolder}/${sha256}`;
}

/** An image is named by all its bytes, so there is nothing of it that could differ. */
export function compareImage(_image: NamedFile, have: ImageHave): Difference {
  return have.isMounted ? NO_DIFFERENCE : { change: 'update', because: 'not-mounted' };
}
