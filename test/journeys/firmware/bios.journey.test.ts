import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { askBot } from '../../../boot/grid/bot.ts';
import { buildEnvironment, buildImage } from '../../../boot/grid/release.ts';
import { openServices, type Services } from '../../../boot/grid/services.ts';
import type { Guest, GuestWish } from '../../../boot/lab/guest.ts';
import { type Lab, openLab } from '../../../boot/lab/lab.ts';
import { detachedSignature, ensureLoaderKey } from '../../../boot/release/loader.ts';
import { run } from '../../../src/host/exec.ts';
import { MiB, MINUTE_MS } from '../../../src/lib/units.ts';

// One directory, one mirror, and machines that are started from media which `zos boot media` made:
// on a BIOS, where GRUB checks what it starts, and on UEFI, which takes its keys from the stick.
const ROOT = join(import.meta.dirname, '../../..');
const SETUP_MS = 15 * MINUTE_MS;
const BOOT_MS = 10 * MINUTE_MS;
const REGISTERED = /zos: agent registered node=(?<id>[0-9a-f]{64})/u;

/** iPXE is in the ROM of QEMU's cards; this one is treated as those of real cards. */
const PLAIN_MAC = '52:54:00:5b:00:ff';

let folder: string;
let lab: Lab;
let services: Services;
let stickPath: string;
let guests = 0;
let running: Guest | undefined;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-bios-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const onEvent = ({ subject, text }: { subject: string; text: string }): void =>
    console.log(`${subject}: ${text}`);
  const common = { root: ROOT, env: buildEnvironment(process.env), onEvent };
  const signal = AbortSignal.timeout(SETUP_MS);
  await buildImage({ ...common, signal });
  lab = stack.use(await openLab({ name: 'bios', accelerator: 'tcg' }));
  services = stack.use(
    await openServices({
      ...common,
      signal,
      address: lab.address,
      nodes: 1,
      folder: join(folder, 'grid'),
      hasOwnRelease: true,
      onFetch: () => {},
      startDhcp: (programs) => lab.startDhcp({ ...programs, plainMacs: [PLAIN_MAC] }),
    }),
  );
  stickPath = await makeMedia('usb', 'stick.img');
}, SETUP_MS);

afterEach(async () => {
  await running?.powerOff();
  running = undefined;
});

afterAll(() => stack.disposeAsync(), MINUTE_MS);

test(
  'a stick starts a machine with a BIOS, which joins its farm as loader-verified',
  async () => {
    const guest = await switchOn({ media: [{ path: stickPath, kind: 'usb' }] });
    const { id } = await registered(guest);
    expect(textOf(guest)).toMatch(/zos: loader checks \(hd0,gpt2\)\/zos\/vmlinuz/u);
    expect(textOf(guest)).toMatch(/zos: boot media local sda/u);
    expect(await classOf(id)).toBe('loader-verified');
  },
  BOOT_MS,
);

test(
  'a disc starts a machine with a BIOS, which joins its farm as loader-verified',
  async () => {
    const path = await makeMedia('iso', 'disc.iso');
    const guest = await switchOn({ media: [{ path, kind: 'cd' }] });
    const { id } = await registered(guest);
    expect(textOf(guest)).toMatch(/zos: boot media local sr0/u);
    expect(await classOf(id)).toBe('loader-verified');
  },
  BOOT_MS,
);

test(
  'GRUB over TFTP starts a machine with a BIOS, which joins its farm as unverified',
  async () => {
    const guest = await switchOn({ mac: PLAIN_MAC });
    const { id } = await registered(guest);
    expect(textOf(guest)).toMatch(/zos: loader checks \(tftp\)\/vmlinuz/u);
    expect(textOf(guest)).toMatch(/zos: boot media network http:\S+\/farm\.json\?mac=/u);
    expect(await classOf(id)).toBe('unverified');
  },
  BOOT_MS,
);

test(
  'the same stick brings its keys to a UEFI in setup mode, which then checks what it starts',
  async () => {
    const path = await makeMedia('usb', 'another.img');
    const variablesPath = await lab.makeFirmware('stick');
    const guest = await switchOn({
      uefi: { variablesPath, network: 'http' },
      media: [{ path, kind: 'usb' }],
    });
    const { id } = await registered(guest);
    expect(textOf(guest)).toMatch(/zos: boot media local sda/u);
    expect(await classOf(id)).toBe('verified');
  },
  BOOT_MS,
);

type Row = {
  readonly what: string;
  readonly refused: string;
  /** GRUB's own words. */
  readonly why: RegExp;
  readonly tamper: (stick: Stick) => Promise<void>;
};

const REFUSED: Row[] = [
  {
    what: 'one flipped bit in vmlinuz',
    refused: 'vmlinuz',
    why: /bad signature/u,
    tamper: (stick) => stick.flipBit('vmlinuz'),
  },
  {
    what: 'one flipped bit in initramfs.cpio',
    refused: 'initramfs.cpio',
    why: /bad signature/u,
    tamper: (stick) => stick.flipBit('initramfs.cpio'),
  },
  {
    what: 'a missing signature',
    refused: 'vmlinuz',
    why: /file `\/zos\/vmlinuz\.sig' not found/u,
    tamper: (stick) => stick.remove('vmlinuz.sig'),
  },
  {
    what: 'the signature of another key',
    refused: 'vmlinuz',
    why: /public key [0-9a-f]+ not found/u,
    tamper: (stick) => stick.signByStranger('vmlinuz'),
  },
];

test.each(REFUSED)(
  'GRUB refuses $what by name, says why, and starts nothing',
  async ({ what, refused, why, tamper }) => {
    const path = join(folder, `tampered-${what.replaceAll(' ', '-')}.img`);
    await copyFile(stickPath, path);
    await tamper(openStick(path));
    const guest = await switchOn({ media: [{ path, kind: 'usb' }], memoryMiB: 512 });
    await guest.waitFor(new RegExp(`zos: loader refused ${refused}:`, 'u'), BOOT_MS);
    expect(textOf(guest)).toMatch(why);
    expect(textOf(guest)).not.toContain('starts the kernel');
    await rm(path);
  },
  BOOT_MS,
);

type Stick = {
  readonly flipBit: (name: string) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
  readonly signByStranger: (name: string) => Promise<void>;
};

/** Changes what lies on a stick, as somebody would who holds it. */
function openStick(path: string): Stick {
  const image = ['-i', `${path}@@${2 * MiB}`];
  const put = async (name: string, bytes: Uint8Array): Promise<void> => {
    const from = join(folder, 'changed');
    await writeFile(from, bytes);
    await run({ file: 'mcopy', args: [...image, '-o', from, `::/zos/${name}`] });
  };
  return {
    flipBit: async (name) => {
      const bytes = await readFile(join(ROOT, 'dist/release', name));
      const at = Math.floor(bytes.length / 2);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await put(name, bytes);
    },
    remove: async (name) => void (await run({ file: 'mdel', args: [...image, `::/zos/${name}`] })),
    signByStranger: async (name) => {
      const keysPath = join(folder, 'stranger');
      const key = await ensureLoaderKey({ keysPath, nowMs: Date.now() });
      const bytes = await readFile(join(ROOT, 'dist/release', name));
      await put(`${name}.sig`, detachedSignature(bytes, key));
    },
  };
}

async function makeMedia(format: string, name: string): Promise<string> {
  const path = join(folder, name);
  const { bot, bootServer, releasePath } = services;
  const args = ['boot', 'media', '--farm', 'farm', '--format', format, '--take-blank-disks'];
  await bot.zos({
    args: [...args, '--release', releasePath, '--mirrors', bootServer.url, '--out', path],
  });
  return path;
}

type Machine = Omit<GuestWish, 'name' | 'mac'> & { readonly mac?: string };

async function switchOn(wish: Machine): Promise<Guest> {
  guests += 1;
  const mac = `52:54:00:5b:00:${guests.toString(16).padStart(2, '0')}`;
  running = await lab.startGuest({
    name: `machine${guests}`,
    mac,
    ...wish,
  });
  return running;
}

async function registered(guest: Guest): Promise<{ id: string }> {
  const line = await guest.waitFor(REGISTERED, BOOT_MS);
  return { id: REGISTERED.exec(line.text)?.groups?.['id'] ?? '' };
}

async function classOf(id: string): Promise<string | undefined> {
  const form = z.array(z.looseObject({ id: z.string(), class: z.string() }));
  const nodes = await askBot(services.bot, ['nodes'], form);
  return nodes.find((node) => node.id === id)?.class;
}

function textOf({ lines }: Guest): string {
  return lines.map(({ text }) => text).join('\n');
}
