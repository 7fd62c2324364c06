import { readText } from '../host/files.ts';
import { listOpenDevices } from '../host/block/cryptsetup.ts';
import { listLoops } from '../host/block/losetup.ts';
import { extentOf } from '../host/block/sparse.ts';
import { listMounts } from '../host/mount.ts';
import {
  mappedNameOf,
  type VolumeDisk,
  type VolumeGround,
  type VolumeHave,
  type VolumeLabel,
  volumeMountPath,
} from './plan.ts';
import { listVolumeIds, readLabel, volumeFilePath } from './store.ts';

const SECTOR_BYTES = 512;

/** Every volume of which there is something on the machine, by id; no process is started. */
export async function observeVolumes(
  ground: VolumeGround,
): Promise<ReadonlyMap<string, VolumeHave>> {
  const disks = ground.disks();
  const listed = await Promise.all(disks.map(listVolumeIds));
  const ids = new Set(listed.flatMap((onDisk) => [...onDisk]));
  if (ids.size === 0) return new Map();
  const [loops, devices, mounts] = await Promise.all([
    listLoops(),
    listOpenDevices(),
    listMounts(),
  ]);
  const kernel: Kernel = {
    loops: new Map(loops.map(({ filePath, path }) => [filePath, path])),
    devices: new Map(devices.map(({ name, device }) => [name, device])),
    mounted: new Set(mounts.map(({ path }) => path)),
  };
  const haves = await Promise.all([...ids].map(async (id) => readVolume(id, disks, kernel)));
  return new Map(haves.map((have) => [have.id, have]));
}

/** What the kernel has now. */
type Kernel = {
  readonly loops: ReadonlyMap<string, string>;
  readonly devices: ReadonlyMap<string, string>;
  readonly mounted: ReadonlySet<string>;
};

async function readVolume(
  id: string,
  disks: readonly VolumeDisk[],
  kernel: Kernel,
): Promise<VolumeHave> {
  const copies = await Promise.all(disks.map(async (disk) => readCopy(id, disk)));
  const own = copies.find(({ extent }) => extent !== undefined);
  // The copy beside the volume itself counts before those that may be older.
  const others = copies.flatMap(({ label }) => label ?? []);
  const label = own?.label ?? others.find(({ isWhole }) => isWhole) ?? others[0];
  const filePath = own?.filePath;
  const device = kernel.devices.get(mappedNameOf(id));
  return {
    id,
    label,
    filePath,
    fileBytes: own?.extent?.lengthBytes ?? 0,
    takenBytes: own?.extent?.takenBytes ?? 0,
    loopPath: filePath === undefined ? undefined : kernel.loops.get(filePath),
    device,
    deviceBytes: device === undefined ? 0 : await deviceBytes(device),
    isMounted: kernel.mounted.has(volumeMountPath(id)),
  };
}

type Copy = {
  readonly label: VolumeLabel | undefined;
  readonly filePath: string;
  readonly extent: Awaited<ReturnType<typeof extentOf>>;
};

async function readCopy(id: string, disk: VolumeDisk): Promise<Copy> {
  const filePath = volumeFilePath(disk, id);
  const [label, extent] = await Promise.all([
    readLabel(disk, id),
    extentOf(filePath).catch(() => undefined),
  ]);
  return { label, filePath, extent };
}

async function deviceBytes(device: string): Promise<number> {
  const sectors = await readText(`/sys/block/${device}/size`, 64).catch(() => undefined);
  return Number(sectors ?? 0) * SECTOR_BYTES;
}
