import { readdir, readFile } from 'node:fs/promises';
import { listDisks, readContent } from '../host/disk.ts';
import { listMounts } from '../host/mount.ts';
import { sentenceOf } from '../lib/errors.ts';
import type { SeenDisk } from './plan.ts';

/** Every disk of the machine with what is on it; reading changes nothing. */
export async function observeDisks(): Promise<SeenDisk[]> {
  const [disks, mounts] = await Promise.all([listDisks(), listMounts()]);
  const mounted = new Set(mounts.map(({ source }) => source));
  const isMounted = (name: string): boolean => mounted.has(`/dev/${name.replaceAll('!', '/')}`);
  return Promise.all(
    disks.map(async ({ path, name, ...disk }) => ({
      path,
      serial: disk.serial,
      model: disk.model,
      lengthBytes: disk.lengthBytes,
      // A virtual disk says that it rotates when nobody told it what it is.
      isRotating: disk.isRotating && !name.startsWith('vd'),
      isReadOnly: disk.isReadOnly,
      isRemovable: disk.isRemovable,
      partitionCount: disk.partitions.length,
      isInUse: [name, ...disk.partitions].some(isMounted) || disk.holders.length > 0,
      content: await readContent(path).catch(
        (error: unknown) => ({ kind: 'foreign', because: sentenceOf(error) }) as const,
      ),
    })),
  );
}

const PCI_STORAGE = '0x01';

/** Whether there is something that disks hang on, so that finding none may only be too early. */
export async function hasStorageController(sysPath = '/sys'): Promise<boolean> {
  const folder = `${sysPath}/bus/pci/devices`;
  const devices: string[] = await readdir(folder).catch(() => []);
  const classes = await Promise.all(
    devices.map((device) => readFile(`${folder}/${device}/class`, 'utf8').catch(() => '')),
  );
  return classes.some((text) => text.startsWith(PCI_STORAGE));
}
