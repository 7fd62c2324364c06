import { readdir } from 'node:fs/promises';
import { readText } from '../files.ts';
import { run } from '../exec.ts';
import { KiB, MiB, MINUTE_MS } from '../../lib/units.ts';

/** What a LUKS2 header takes in front of what is encrypted. */
export const LUKS_HEADER_BYTES = MiB;

/** An open encrypted device, by the kernel's name (`dm-3`) and by ours. */
export type OpenDevice = { readonly device: string; readonly name: string };

/** A device to work on, and the key, which the caller wipes. */
export type LuksWish = {
  readonly path: string;
  readonly key: Uint8Array;
  readonly signal?: AbortSignal;
};

const DEADLINE_MS = MINUTE_MS;
/** There is no udev that would make the device files: the library makes them itself. */
const ENV = { DM_DISABLE_UDEV: '1' };
const SECTOR_BYTES = 512;

/**
 * Makes a device a LUKS2 one (cryptsetup-luksFormat(8)): AES-256 in XTS under a key made here by
 * chance, which the given key wraps. That one is 64 bytes of chance, so no work is put into
 * stretching it. Whatever is on the device is lost.
 */
export async function formatLuks({ path, key, signal }: LuksWish): Promise<void> {
  const header = ['--luks2-metadata-size', '16k', '--luks2-keyslots-size', '512k'];
  const offset = ['--offset', `${LUKS_HEADER_BYTES / SECTOR_BYTES}`];
  const cipher = ['--cipher', 'aes-xts-plain64', '--key-size', '512', '--hash', 'sha256'];
  const stretching = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  const args = ['luksFormat', '--type', 'luks2', ...cipher, ...stretching, ...header, ...offset];
  await cryptsetup([...args, '--key-file', '-', path], { key, signal });
}

/** Opens it at `/dev/mapper/NAME`; room that is freed in it is given back to what is below. */
export async function openLuks(wish: LuksWish & { readonly name: string }): Promise<void> {
  const { path, name, key, signal } = wish;
  const args = ['open', '--type', 'luks2', '--allow-discards', '--key-file', '-', path, name];
  await cryptsetup(args, { key, signal });
}

/** Makes an open one as long as its device is now. */
export async function resizeLuks(
  wish: Omit<LuksWish, 'path'> & { readonly name: string },
): Promise<void> {
  const { name, key, signal } = wish;
  await cryptsetup(['resize', '--key-file', '-', name], { key, signal });
}

/** Closes it; the kernel forgets the key. */
export async function closeLuks(name: string, signal?: AbortSignal): Promise<void> {
  await cryptsetup(['close', name], { signal });
}

/** Every device of the device mapper, read from sysfs: no process is started. */
export async function listOpenDevices(sysPath = '/sys'): Promise<OpenDevice[]> {
  const devices: string[] = await readdir(`${sysPath}/block`);
  const open = await Promise.all(
    devices.map(async (device) => {
      if (!device.startsWith('dm-')) return [];
      const path = `${sysPath}/block/${device}/dm/name`;
      const name = await readText(path, KiB).catch(() => undefined);
      return name === undefined ? [] : [{ device, name: name.trim() }];
    }),
  );
  return open.flat();
}

type Asked = { readonly key?: Uint8Array; readonly signal?: AbortSignal | undefined };

async function cryptsetup(args: readonly string[], { key, signal }: Asked): Promise<void> {
  await run({
    file: 'cryptsetup',
    args: ['--batch-mode', ...args],
    deadlineMs: DEADLINE_MS,
    env: ENV,
    ...(key === undefined ? {} : { stdin: key }),
    ...(signal === undefined ? {} : { signal }),
  });
}
