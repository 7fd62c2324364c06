import { chown, rm, rmdir, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  closeLuks,
  formatLuks,
  LUKS_HEADER_BYTES,
  openLuks,
  resizeLuks,
} from '../host/block/cryptsetup.ts';
import { growFileSystem, makeFileSystem, trimFileSystem } from '../host/block/file-system.ts';
import { attachLoop, detachLoop, growLoop } from '../host/block/losetup.ts';
import { stretchFile, wipeHead } from '../host/block/sparse.ts';
import { syncFolder } from '../host/files.ts';
import { ExecError } from '../host/exec.ts';
import { isMountPoint, mount, unmount } from '../host/mount.ts';
import type { Driver } from '../lib/driver.ts';
import { ZosError } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import { observeVolumes } from './observe.ts';
import {
  changeRefusal,
  compareVolume,
  fileBytesOf,
  type KeptVolume,
  mappedNameOf,
  type SealedKey,
  volumeDevicePath,
  type VolumeDisk,
  volumeFolder,
  type VolumeGround,
  type VolumeHave,
  type VolumeLabel,
  volumeMountPath,
  type VolumeSpec,
} from './plan.ts';
import { VOLUME_KEY_BYTES } from './spec.ts';
import { dropLabel, volumeFilePath, writeLabel } from './store.ts';

export class VolumeError extends ZosError<
  'VOLUME_NO_ROOM' | 'VOLUME_REFUSED' | 'VOLUME_KEY_OTHER'
> {}

/** Opens what is sealed to this node; what it answers is wiped here. */
export type OpenKey = (key: SealedKey) => Uint8Array;

/** Volumes, by id: encrypted files on the data disks, open and mounted while a contract is held. */
export function volumeDriver(
  ground: VolumeGround,
  openKey: OpenKey,
): Driver<VolumeSpec | KeptVolume, VolumeHave> {
  return {
    kind: 'volume',
    observe: async () => observeVolumes(ground),
    compare: compareVolume,
    create: async (spec, signal) => {
      if (!('isKept' in spec)) await makeVolume({ spec, ground, openKey, signal });
    },
    update: async (spec, have, signal) => {
      if (!('isKept' in spec)) await mendVolume({ spec, ground, openKey, signal }, have);
    },
    remove: async (_id, have, signal) => eraseVolume(have, ground, signal),
  };
}

type Work = {
  readonly spec: VolumeSpec;
  readonly ground: VolumeGround;
  readonly openKey: OpenKey;
  readonly signal: AbortSignal;
};

async function makeVolume(work: Work): Promise<void> {
  const { spec, ground, openKey, signal } = work;
  const disk = await roomFor(spec, ground);
  const { id, contract, tenant, format, notAfterMs } = spec;
  const label: VolumeLabel = {
    id,
    contract,
    tenant,
    format,
    notAfterMs,
    class: spec.class,
    disk: disk.serial,
    isWhole: false,
  };
  await writeLabel(ground.disks(), label);
  const filePath = volumeFilePath(disk, id);
  await stretchFile(filePath, fileBytesOf(spec), { isNew: true });
  await syncFolder(volumeFolder(disk));
  const path = await attachLoop(filePath, signal);
  await withKey(spec, openKey, async (key) => {
    await formatLuks({ path, key, signal });
    await openLuks({ path, key, name: mappedNameOf(id), signal });
  });
  if (format !== 'raw') {
    await makeFileSystem(format, volumeDevicePath(id), signal);
    await mountVolume(spec, format, signal);
    await chown(volumeMountPath(id), spec.ownerId, spec.ownerId);
    // Programs that want an empty folder find one; the kernel does well without it.
    await rmdir(`${volumeMountPath(id)}/lost+found`).catch(() => undefined);
  }
  await writeLabel(ground.disks(), { ...label, isWhole: true });
}

async function mendVolume(work: Work, have: VolumeHave): Promise<void> {
  const { spec, ground, signal } = work;
  const { label } = have;
  if (label?.isWhole === false) {
    // Nobody was ever given it, so there is nothing in it.
    await eraseVolume(have, ground, signal);
    await makeVolume(work);
    return;
  }
  const refusal = changeRefusal(spec, have);
  if (refusal !== undefined || label === undefined || have.filePath === undefined) {
    throw new VolumeError(
      'VOLUME_REFUSED',
      `The volume stays as it is: ${refusal ?? 'it is not here'}.`,
    );
  }
  await openVolume(work, have, have.filePath);
  if (label.notAfterMs !== spec.notAfterMs) {
    await writeLabel(ground.disks(), { ...label, notAfterMs: spec.notAfterMs });
  }
}

/** Opens what is closed, and makes it longer where it is too short. */
async function openVolume(work: Work, have: VolumeHave, filePath: string): Promise<void> {
  const { spec, ground, openKey, signal } = work;
  const { id, format, lengthBytes } = spec;
  const path = have.loopPath ?? (await attachLoop(filePath, signal));
  const growsBytes = fileBytesOf(spec) - have.fileBytes;
  if (growsBytes > 0) {
    const folder = dirname(filePath);
    const disk = ground.disks().find((candidate) => volumeFolder(candidate) === folder);
    if (disk !== undefined) refuseNoRoom(growsBytes, await freeBytes(disk, ground));
    await stretchFile(filePath, fileBytesOf(spec));
  }
  await growLoop(path, signal);
  const name = mappedNameOf(id);
  const isShort = growsBytes > 0 || (have.device !== undefined && have.deviceBytes < lengthBytes);
  if (have.device === undefined || isShort) {
    await withKey(spec, openKey, async (key) => {
      if (have.device === undefined) await openLuks({ path, key, name, signal });
      else await resizeLuks({ name, key, signal });
    });
  }
  if (format === 'raw') return;
  await mountVolume(spec, format, signal);
  // Also where an earlier try ended between the two.
  const at = { device: volumeDevicePath(id), path: volumeMountPath(id) };
  if (isShort || !have.isMounted) await growFileSystem(format, at, signal);
}

async function mountVolume(
  { id }: VolumeSpec,
  type: Exclude<VolumeSpec['format'], 'raw'>,
  signal: AbortSignal,
): Promise<void> {
  const path = volumeMountPath(id);
  if (await isMountPoint(path)) return;
  // Only what runs in a container goes through here: its programs may be on it.
  const options = ['nosuid', 'nodev', type === 'btrfs' ? 'discard=async' : 'discard'];
  await mount({ type, source: volumeDevicePath(id), path, options, signal });
}

/** Forgets the key, then overwrites what it opened, and then gives the room back. */
async function eraseVolume(
  have: VolumeHave,
  ground: VolumeGround,
  signal: AbortSignal,
): Promise<void> {
  const { id, filePath } = have;
  const path = volumeMountPath(id);
  if (have.isMounted) await unmount(path, signal);
  await rmdir(path).catch(() => undefined);
  if (have.device !== undefined) await closeLuks(mappedNameOf(id), signal);
  if (have.loopPath !== undefined) await detachLoop(have.loopPath, signal);
  if (filePath !== undefined) {
    await wipeHead(filePath, LUKS_HEADER_BYTES);
    await rm(filePath, { force: true });
    await syncFolder(dirname(filePath));
    await trimFileSystem(dirname(filePath), signal).catch(() => undefined);
  }
  await dropLabel(ground.disks(), id);
}

async function withKey(
  { key: sealed, id }: VolumeSpec,
  openKey: OpenKey,
  use: (key: Uint8Array) => Promise<void>,
): Promise<void> {
  const key = openKey(sealed);
  try {
    if (key.length !== VOLUME_KEY_BYTES) throw otherKey(id);
    await use(key);
  } catch (cause) {
    // What cryptsetup ends with when the key opens nothing (cryptsetup(8), return codes).
    if (cause instanceof ExecError && cause.facts['exitCode'] === 2) throw otherKey(id);
    throw cause;
  } finally {
    key.fill(0);
  }
}

function otherKey(id: string): VolumeError {
  return new VolumeError(
    'VOLUME_KEY_OTHER',
    `The key does not open volume ${id}; deploy again with the key that it was made with.`,
  );
}

/** The disk of its class with most room, counting what others were promised and did not take. */
async function roomFor(spec: VolumeSpec, ground: VolumeGround): Promise<VolumeDisk> {
  const disks = ground.disks().filter((disk) => disk.class === spec.class);
  const rooms = await Promise.all(
    disks.map(async (disk) => ({ disk, bytes: await freeBytes(disk, ground) })),
  );
  const best = rooms.toSorted((a, b) => b.bytes - a.bytes)[0];
  refuseNoRoom(fileBytesOf(spec), best?.bytes ?? 0);
  if (best === undefined) throw new VolumeError('VOLUME_NO_ROOM', `There is no ${spec.class}.`);
  return best.disk;
}

async function freeBytes(disk: VolumeDisk, ground: VolumeGround): Promise<number> {
  const { bavail, bsize } = await statfs(disk.path);
  const folder = volumeFolder(disk);
  const here = [...(await observeVolumes(ground)).values()].filter(
    ({ filePath }) => filePath !== undefined && dirname(filePath) === folder,
  );
  const promised = here.reduce(
    (sum, { fileBytes, takenBytes }) => sum + Math.max(0, fileBytes - takenBytes),
    0,
  );
  return Math.max(0, bavail * bsize - promised);
}

function refuseNoRoom(neededBytes: number, roomBytes: number): void {
  if (neededBytes <= roomBytes) return;
  throw new VolumeError(
    'VOLUME_NO_ROOM',
    `It takes ${formatBytes(neededBytes)} and there is room for ${formatBytes(roomBytes)}.`,
    { facts: { neededBytes, roomBytes } },
  );
}
