import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureEnrolled } from '../../../boot/lab/enrolment.ts';
import type { Guest } from '../../../boot/lab/guest.ts';
import { type Lab, openLab } from '../../../boot/lab/lab.ts';
import { ensureSecureBootKeys, signCode } from '../../../boot/release/secure-boot.ts';
import { type BootServer, openBootServer } from '../../../boot/serve/server.ts';
import type { Uefi } from '../../../src/host/lab/qemu.ts';
import { readSections, withoutSignatures } from '../../../src/lib/pe.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

// Machines with UEFI, Secure Boot and our keys, as far as the first stage: what firmware refuses,
// and what it starts. How it goes on is in the journey of attested nodes.
const ROOT = join(import.meta.dirname, '../../..');
const SIGNED = join(ROOT, 'dist/release/zos.efi');
const UNSIGNED = join(ROOT, 'dist/work/zos.efi');
const BOOT_MS = 15 * MINUTE_MS;
/** What firmware says of what it may not start (UEFI 2.10, appendix D). */
const REFUSED = /BdsDxe: failed to load .*HTTPv4.*: (?:Access Denied|Security Violation)/u;

const stack = new AsyncDisposableStack();
let releasePath: string;
let enrolledPath: string;
let lab: Lab;
let server: BootServer;

beforeAll(async () => {
  releasePath = await mkdtemp(join(tmpdir(), 'zos-uefi-'));
  stack.defer(() => rm(releasePath, { recursive: true, force: true }));
  // Over the firmware's own stick, in setup mode, as a farmer's machine takes them.
  enrolledPath = await ensureEnrolled(ROOT);
  lab = stack.use(await openLab({ name: 'uefi', accelerator: 'tcg' }));
  const farm = { grid: 'lab', farmer: null, tokens: [], mirrors: [] };
  server = stack.use(await openBootServer({ address: lab.address, releasePath, farm }));
  const { scriptUrl, efiUrl } = server;
  await lab.startDhcp({ scriptUrl, efiUrl, efiPath: SIGNED });
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, MINUTE_MS);

const TAMPERED: [string, () => Promise<void>][] = [
  [
    'one flipped bit in zos.efi',
    async () => {
      const bytes = await readFile(SIGNED);
      // In the middle of the first stage, which is most of the file.
      const initrd = readSections(bytes).find(({ name }) => name === '.initrd')?.bytes;
      if (initrd === undefined) throw new Error('zos.efi has no first stage.');
      const at = Math.floor(initrd.length / 2);
      initrd[at] = (initrd[at] ?? 0) ^ 1;
      await writeFile(servedPath(), bytes);
    },
  ],
  [
    'a zos.efi that somebody else signed',
    async () => {
      const keys = await ensureSecureBootKeys(join(releasePath, 'stranger'));
      await signCode({ from: SIGNED, to: servedPath(), keys });
    },
  ],
  [
    'a zos.efi that nobody signed',
    async () => {
      const bytes = await readFile(UNSIGNED);
      expect(withoutSignatures(bytes)).toBe(bytes);
      await writeFile(servedPath(), bytes);
    },
  ],
];

test.each(TAMPERED)(
  '%s: firmware does not start it',
  async (_name, serve) => {
    await serve();
    await using guest = await startMachine('http');
    await guest.waitFor(REFUSED, BOOT_MS - MINUTE_MS);
    expect(textOf(guest)).toContain(`URI: ${server.efiUrl}`);
    expect(textOf(guest)).not.toMatch(/zos:|Linux version/u);
  },
  BOOT_MS,
);

test.each([['http', 'HTTP'] as const, ['pxe', 'PXE'] as const])(
  'over %s firmware starts what we signed, and the machine finds its farm',
  async (network, word) => {
    await copyFile(SIGNED, servedPath());
    await using guest = await startMachine(network);
    await guest.waitFor(/zos: boot media /u, BOOT_MS - MINUTE_MS);
    expect(textOf(guest)).toContain(`>>Start ${word} `);
    const { hostname, port } = new URL(server.url);
    const farm = `http://${hostname}:${port}/farm.json?mac=52%3A54%3A00%3A5a%3A02%3A01`;
    expect(textOf(guest)).toContain(`zos: boot media network ${farm}`);
  },
  BOOT_MS,
);

/** A new one each time: firmware remembers what it could not start. */
async function startMachine(network: Uefi['network']): Promise<Guest> {
  const variablesPath = await lab.makeFirmware('victim', enrolledPath);
  const uefi = { network, variablesPath };
  return lab.startGuest({ name: 'victim', mac: '52:54:00:5a:02:01', memoryMiB: 1024, uefi });
}

function servedPath(): string {
  return join(releasePath, 'zos.efi');
}

function textOf({ lines }: Guest): string {
  return lines.map(({ text }) => text).join('\n');
}
