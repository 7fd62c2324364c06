import { type Difference, NO_DIFFERENCE } from '../lib/driver.ts';
import { formatBytes } from '../lib/units.ts';
import type { VolumeClass, VolumeFormat } from './spec.ts';
import { VOLUME_HEADER_BYTES } from './spec.ts';

/** A data disk that volumes may lie on. */
export type VolumeDisk = {
  /** Where it is mounted. */
  readonly path: string;
  readonly serial: string;
  readonly class: VolumeClass;
};

/** Where volumes lie on this node, as it is now. */
export type VolumeGround = { readonly disks: () => readonly VolumeDisk[] };

/** A volume as it shall stand on this node. */
export type VolumeSpec = {
  /** `<first 16 digits of the contract's id>-<name>`. */
  readonly id: string;
  readonly contract: string;
  readonly tenant: string;
  readonly class: VolumeClass;
  readonly format: VolumeFormat;
  readonly lengthBytes: number;
  /** The user and group, inside of its containers, that its file system's root belongs to. */
  readonly ownerId: number;
  readonly notAfterMs: number;
  /** As it came: opened only while it is handed to the kernel. */
  readonly key: SealedKey;
};

/** A key that only this node can open. */
export type SealedKey = {
  /** Base64 of the box. */
  readonly sealed: string;
  /** Hex of the hash over what it was sealed for. */
  readonly binding: string;
};

/** One that nobody here is known to have ended: it is left as it is. */
export type KeptVolume = { readonly id: string; readonly isKept: true };

/** What is written down beside a volume, in clear, on each data disk. */
export type VolumeLabel = {
  readonly id: string;
  readonly contract: string;
  readonly tenant: string;
  readonly class: VolumeClass;
  readonly format: VolumeFormat;
  /** The serial number of the disk that it lies on. */
  readonly disk: string;
  readonly notAfterMs: number;
  /** It was handed out once: from then on it is never made anew. */
  readonly isWhole: boolean;
};

/** What is there of a volume. */
export type VolumeHave = {
  readonly id: string;
  /** None where it can't be read: then nothing of it is touched. */
  readonly label: VolumeLabel | undefined;
  /** The file that holds it, where its disk is here. */
  readonly filePath: string | undefined;
  readonly fileBytes: number;
  readonly takenBytes: number;
  readonly loopPath: string | undefined;
  /** The kernel's name of the open device (`dm-0`). */
  readonly device: string | undefined;
  readonly deviceBytes: number;
  readonly isMounted: boolean;
};

/** Where volumes are mounted. */
export const VOLUME_MOUNTS = '/run/zos/volumes';

/** The folder of volumes on a data disk. */
export function volumeFolder({ path }: Pick<VolumeDisk, 'path'>): string {
  return `${path}/volumes`;
}

/** The id that a volume has on a node. */
export function volumeIdOf(contractId: string, name: string): string {
  return `${contractId.slice(0, 16)}-${name}`;
}

/** Where a volume with a file system is mounted. */
export function volumeMountPath(id: string): string {
  return `${VOLUME_MOUNTS}/${id}`;
}

const MAPPED_PREFIX = 'zos-';

/** The name of an open volume in the device mapper. */
export function mappedNameOf(id: string): string {
  return `${MAPPED_PREFIX}${id}`;
}

/** The block device of an open volume. */
export function volumeDevicePath(id: string): string {
  return `/dev/mapper/${mappedNameOf(id)}`;
}

/** How long the file of a volume is. */
export function fileBytesOf({ lengthBytes }: Pick<VolumeSpec, 'lengthBytes'>): number {
  return lengthBytes + VOLUME_HEADER_BYTES;
}

/** A volume is opened, grown and labelled in place; one that holds data is never made anew. */
export function compareVolume(spec: VolumeSpec | KeptVolume, have: VolumeHave): Difference {
  if ('isKept' in spec) return NO_DIFFERENCE;
  const update = (because: string): Difference => ({ change: 'update', because });
  const { label } = have;
  if (label === undefined) return update('label-unreadable');
  if (!label.isWhole) return update('half-made');
  const refusal = changeRefusal(spec, have);
  if (refusal !== undefined) return update(refusal);
  const isOpen = have.device !== undefined && (spec.format === 'raw' || have.isMounted);
  if (!isOpen) return update('closed');
  if (have.fileBytes < fileBytesOf(spec) || have.deviceBytes < spec.lengthBytes) {
    return update('shorter');
  }
  if (label.notAfterMs !== spec.notAfterMs) return update('other-end');
  return NO_DIFFERENCE;
}

/** Why what is there can't become what is wanted without losing what is in it. */
export function changeRefusal(spec: VolumeSpec, have: VolumeHave): string | undefined {
  const { label } = have;
  if (label === undefined) return 'its label can’t be read';
  if (label.contract !== spec.contract) return 'it belongs to another contract';
  if (have.filePath === undefined) return `its disk ${label.disk} is not here`;
  if (label.format !== spec.format || label.class !== spec.class) {
    return `it is ${label.format} on ${label.class}, and stays so`;
  }
  if (have.fileBytes > fileBytesOf(spec)) {
    const has = formatBytes(have.fileBytes - VOLUME_HEADER_BYTES);
    return `it has ${has} and never shrinks to ${formatBytes(spec.lengthBytes)}`;
  }
  return undefined;
}
