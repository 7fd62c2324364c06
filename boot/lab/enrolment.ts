import { copyFile, mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { MiB, SECOND_MS } from '../../src/lib/units.ts';
import { BLANK_VARIABLES_PATH, startQemu } from '../../src/host/lab/qemu.ts';
import { copyToFat, makeFat } from '../../src/host/media/fat.ts';
import { BootError } from '../errors.ts';
import { ensureSecureBootKeys, nameKeys, SECURE_BOOT_NAMES } from '../release/secure-boot.ts';

/** The loader waits 15 s before it writes, where it does not know that it runs in a lab. */
const DEADLINE_MS = 120 * SECOND_MS;
const DISK_BYTES = 140 * MiB;
/** systemd-boot(7): takes the keys below `loader/keys/auto` where the firmware is in setup mode. */
const LOADER_SETTINGS = 'timeout 0\nsecure-boot-enroll force\n';

/**
 * The memory of a UEFI firmware that took our keys and thereby turned Secure Boot on: by our stick,
 * in setup mode, the way that a farmer's machine takes them. Done once for the same keys; the file
 * is to be copied, not used. Throws `BootError`.
 */
export async function ensureEnrolled(root: string): Promise<string> {
  const keys = await ensureSecureBootKeys(join(root, 'dist/keys'));
  const loaderPath = join(root, 'dist/release/systemd-bootx64.efi');
  const name = sha256Hex(await readFile(loaderPath), Buffer.from(await nameKeys(keys)));
  const folder = join(root, 'dist/work/secure-boot');
  const path = join(folder, `${name.slice(0, 32)}.variables`);
  if ((await readFile(path).catch(() => undefined)) !== undefined) return path;
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(tmpdir(), 'zos-enrolment-'));
  try {
    const diskPath = join(scratch, 'stick.raw');
    await makeStick(diskPath, { loaderPath, keysFolder: keys.folder, scratch });
    const variablesPath = join(scratch, 'variables');
    await copyFile(BLANK_VARIABLES_PATH, variablesPath);
    await runStick(diskPath, variablesPath);
    await copyFile(variablesPath, `${path}.part`);
    await rename(`${path}.part`, path);
    return path;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

type Stick = { readonly loaderPath: string; readonly keysFolder: string; readonly scratch: string };

async function makeStick(path: string, { loaderPath, keysFolder, scratch }: Stick): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.truncate(DISK_BYTES);
  const place = { path, offsetBytes: 0 };
  await makeFat({ ...place, lengthBytes: DISK_BYTES, label: 'ZOS', serial: '5a6f7300' });
  const settings = join(scratch, 'loader.conf');
  await writeFile(settings, LOADER_SETTINGS);
  const updates = SECURE_BOOT_NAMES.map((name) => ({
    from: join(keysFolder, `${name}.auth`),
    to: `/loader/keys/auto/${name}.auth`,
  }));
  const loader = { from: loaderPath, to: '/EFI/BOOT/BOOTX64.EFI' };
  await copyToFat(place, [loader, { from: settings, to: '/loader/loader.conf' }, ...updates], 0);
}

/** The loader restarts the machine when the keys are in, which ends it here. */
async function runStick(path: string, variablesPath: string): Promise<void> {
  const lines: string[] = [];
  await using machine = startQemu({
    accelerator: 'tcg',
    memoryMiB: 256,
    processors: 1,
    cards: [],
    diskPaths: [],
    media: [{ path, kind: 'usb' }],
    uefi: { variablesPath, network: 'http' },
    endsOnReset: true,
    onLine: (line) => void lines.push(line),
  });
  const late = new AbortController();
  const timer = sleep(DEADLINE_MS, undefined, { signal: late.signal }).catch(() => {});
  const ended = await Promise.race([machine.ended, timer]);
  late.abort();
  if (ended?.exitCode === 0 && lines.some((line) => line.includes('Enrolling'))) return;
  const last = lines.slice(-5).join('\n');
  throw new BootError('GUEST_TOO_SLOW', `The firmware did not take the keys; it said:\n${last}`);
}
