import { constants } from 'node:fs';
import { open, readdir, readFile, readlink } from 'node:fs/promises';
import { SECOND_MS } from '../../src/lib/units.ts';
import { FARM_AREA, readFarmArea } from '../../src/artifact/farm-area.ts';
import { type BootMedia, parseBootMedia } from '../../src/artifact/spec.ts';
import type { BootConsole } from './console.ts';

export type LocalMedia = { readonly media: BootMedia; readonly device: string };

export type LocalMediaWish = {
  readonly console: Pick<BootConsole, 'refused'>;
  readonly sysPath?: string;
  readonly devPath?: string;
};

/** More than a full storage server has; what comes after is not looked at. */
const DEVICES_MAX = 256;
/** A drive that does not answer holds up nothing but its own row. */
const READ_DEADLINE_MS = 10 * SECOND_MS;
/** Memory, loops, floppies, network, and what is built on other devices: no medium of a farmer. */
const NO_MEDIUM = /^(?:loop|ram|zram|fd|nbd|dm-|md|rbd|drbd)/u;

/**
 * The first medium that carries a farm file in its fixed area: what can be taken out comes before
 * what is built in, then by name. Reads those bytes of each device and nothing else, and mounts
 * nothing. A damaged area is told, and the next device is tried.
 */
export async function findLocalMedia(wish: LocalMediaWish): Promise<LocalMedia | undefined> {
  const names = await listDevices(wish.sysPath ?? '/sys');
  const read = names.map(async (name) => ({
    name,
    area: await readArea(`${wish.devPath ?? '/dev'}/${name.replaceAll('!', '/')}`),
  }));
  for (const { name, area } of await Promise.all(read)) {
    try {
      const json = area === undefined ? undefined : readFarmArea(area);
      if (json !== undefined) return { media: parseBootMedia(json), device: name };
    } catch (error) {
      wish.console.refused({ artifact: `${name}/farm.json`, error });
    }
  }
  return undefined;
}

/** USB's number for drives (USB Mass Storage Class, specification overview). */
const MASS_STORAGE = '08';

/** Whether a stick is plugged in whose disk has not shown up yet: it takes some seconds to. */
export async function isDiskOnItsWay(sysPath = '/sys'): Promise<boolean> {
  const folder = `${sysPath}/bus/usb/devices`;
  const interfaces: string[] = await readdir(folder).catch(() => []);
  const classes = await Promise.all(
    interfaces.map((name) => readFile(`${folder}/${name}/bInterfaceClass`, 'utf8').catch(() => '')),
  );
  const sticks = classes.filter((text) => text.trim() === MASS_STORAGE).length;
  if (sticks === 0) return false;
  const names: string[] = await readdir(`${sysPath}/block`).catch(() => []);
  const places = await Promise.all(
    names.map((name) => readlink(`${sysPath}/block/${name}`).catch(() => '')),
  );
  return places.filter((place) => place.includes('/usb')).length < sticks;
}

async function listDevices(sysPath: string): Promise<string[]> {
  const all: string[] = await readdir(`${sysPath}/block`).catch(() => []);
  const names = all.filter((name) => !NO_MEDIUM.test(name)).toSorted();
  const flags = await Promise.all(
    names.map((name) => readFile(`${sysPath}/block/${name}/removable`, 'utf8').catch(() => '')),
  );
  const isRemovable = (_: string, index: number): boolean => flags[index]?.trim() === '1';
  const first = names.filter(isRemovable);
  const rest = names.filter((name) => !first.includes(name));
  return [...first, ...rest].slice(0, DEVICES_MAX);
}

/** None when the drive is empty, too short, broken or silent. */
async function readArea(path: string): Promise<Uint8Array | undefined> {
  const late = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), READ_DEADLINE_MS).unref();
  });
  return Promise.race([readAt(path).catch(() => undefined), late]);
}

async function readAt(path: string): Promise<Uint8Array | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  await using file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const { offsetBytes, lengthBytes } = FARM_AREA;
  const area = Buffer.alloc(lengthBytes);
  const { bytesRead } = await file.read(area, 0, lengthBytes, offsetBytes);
  return bytesRead === lengthBytes ? new Uint8Array(area) : undefined;
}
