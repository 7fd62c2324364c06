import { chown, lstat, stat } from 'node:fs/promises';
import { isMountPoint } from '../host/mount.ts';
import { ZosError } from '../lib/errors.ts';
import { type DeviceNumber, firstIdOf } from './oci.ts';
import type { ContainerSpec } from './plan.ts';

export class MountError extends ZosError<'MOUNT_WITHOUT_PLACE' | 'MOUNT_NOT_OPEN'> {}

/** In memory: what is mounted below is made there. */
const MADE_ON_THE_WAY = /^\/(?:run|tmp|dev)\//u;

/**
 * Makes ready what a container gets of volumes: its image has to have the folders, and a raw block
 * device belongs to the container's own user from here on. Answers the numbers of those devices.
 */
export async function prepareMounts(spec: ContainerSpec): Promise<readonly DeviceNumber[]> {
  const devices: DeviceNumber[] = [];
  for (const { source, path, kind } of spec.mounts ?? []) {
    if (kind === 'device') devices.push(await giveDevice(spec, source));
    else {
      // Else it would write into the node's memory, and lose it.
      if (!(await isMountPoint(source))) throw notOpen();
      await refuseWithoutPlace(spec.rootPath, path);
    }
  }
  return devices;
}

function notOpen(): MountError {
  return new MountError('MOUNT_NOT_OPEN', 'The volume is not open; it is tried again.');
}

async function refuseWithoutPlace(rootPath: string, path: string): Promise<void> {
  if (MADE_ON_THE_WAY.test(path)) return;
  const entry = await lstat(`${rootPath}${path}`).catch(() => undefined);
  if (entry?.isDirectory() === true) return;
  throw new MountError(
    'MOUNT_WITHOUT_PLACE',
    `The image has no folder ${path} for a volume; add it, or mount the volume below /run.`,
  );
}

async function giveDevice(spec: ContainerSpec, source: string): Promise<DeviceNumber> {
  const found = await stat(source).catch(() => undefined);
  if (found === undefined || !found.isBlockDevice()) throw notOpen();
  const id = firstIdOf(spec.id) + spec.container.uid;
  await chown(source, id, id);
  return deviceNumberOf(found.rdev);
}

/** The parts of a device's number (makedev(3)). */
function deviceNumberOf(rdev: number): DeviceNumber {
  const number = BigInt(rdev);
  return {
    major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
    minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  };
}
