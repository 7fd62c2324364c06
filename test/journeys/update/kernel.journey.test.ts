import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import type { ConsoleLine } from '../../../boot/lab/guest.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';
import { writeCpio } from '../../../src/lib/cpio.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { heartbeatThat as findHeartbeat, lineAfter as findLine } from '../../support/grid.ts';
import { openPublisher, type Publisher } from '../../support/update/release.ts';

// One machine under Secure Boot whose farmer lets it restart at any time. It goes to a new kernel
// by itself where the one that runs accepts the signature, and by the firmware where it does not.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 10 * MINUTE_MS;
const FIRMWARE = /BdsDxe|UEFI|iPXE/u;

const stack = new AsyncDisposableStack();
let folder: string;
let grid: Grid;
let publisher: Publisher;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-kernel-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  grid = stack.use(
    await openGrid({
      root: ROOT,
      name: 'kernel',
      nodes: 1,
      memoryMiB: 1024,
      diskMiB: 1024,
      uefi: 'http',
      folder: join(folder, 'grid'),
      hasOwnRelease: true,
      env: buildEnvironment(process.env),
      onEvent: ({ subject, state, text }) => console.log(`${subject}: ${state}: ${text}`),
      onConsole: (_, { text }) => console.log(text),
      signal: AbortSignal.timeout(BOOT_MS),
    }),
  );
  publisher = openPublisher(ROOT, grid.releasePath);
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, STEP_MS);

test(
  'a new kernel waits for the farmer’s window, and is then gone to by kexec: no firmware between',
  async () => {
    const before = await heartbeatThat(() => true);
    const from = lines().length;
    await publisher.publish('initramfs.cpio', await largerFirstStage());
    await lineAfter(from, /zos: agent update waits with kernel .* the farmer/u);
    await grid.bot.zos({ args: ['farm', 'updates', '--window', 'always'] });
    await lineAfter(from, /zos: agent update goes to kernel \w+ by kexec/u);
    const after = await heartbeatThat(({ bootId }) => bootId !== before.bootId);
    expect(after.starts?.[0]).toMatchObject({ what: 'boot', reason: 'update' });
    expect(after.kernel).not.toBe(before.kernel);
    const texts = lines().slice(from);
    expect(texts.some(({ text }) => FIRMWARE.test(text))).toBe(false);
    expect(texts.some(({ text }) => text.includes('zos: boot media initramfs'))).toBe(true);
  },
  STEP_MS,
);

const STRANGERS: [string, () => Promise<string>, RegExp][] = [
  [
    'with one bit changed',
    async () => {
      const bytes = await readFile(publisher.released('vmlinuz'));
      const at = Math.floor(bytes.length / 2);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const path = join(folder, 'vmlinuz-changed');
      await writeFile(path, bytes);
      return path;
    },
    /by a restart: .*(?:Key was rejected|Bad message|not permitted|Required key)/u,
  ],
  [
    'with Debian’s signature and not ours',
    debianKernel,
    /by a restart: .*(?:Key was rejected|not permitted|Required key)/u,
  ],
];

test.each(STRANGERS)(
  'a kernel %s is refused by the one that runs, by name, and the firmware boots what it trusts',
  async (_, kernel, refusal) => {
    const before = await heartbeatThat(() => true);
    const from = lines().length;
    await publisher.publish('vmlinuz', await kernel());
    const line = await lineAfter(from, /zos: agent update goes to kernel/u);
    expect(line.text).toMatch(refusal);
    const after = await heartbeatThat(({ bootId }) => bootId !== before.bootId);
    expect(after.starts?.[0]).toMatchObject({ what: 'boot', reason: 'update' });
  },
  STEP_MS,
);

/** The same first stage with one more file in its archive: another kernel release. */
async function largerFirstStage(): Promise<string> {
  const bytes = await readFile(publisher.released('initramfs.cpio'));
  const more = writeCpio([{ path: 'newer', kind: 'file', bytes: new Uint8Array(4) }]);
  const path = join(folder, 'initramfs-newer.cpio');
  await writeFile(path, concatBytes(bytes, more));
  return path;
}

async function debianKernel(): Promise<string> {
  const packages = join(ROOT, 'dist/work/packages');
  const names = (await readdir(packages)).filter((name) => name.startsWith('linux-image-'));
  for (const name of names) {
    const boot = join(packages, name, 'boot');
    const kernel = (await readdir(boot)).find((file) => file.startsWith('vmlinuz-'));
    if (kernel !== undefined) return join(boot, kernel);
  }
  throw new Error('There is no unpacked package of the kernel; run npm run image.');
}

function lines(): readonly ConsoleLine[] {
  return grid.nodes[0]?.guest.lines ?? [];
}

function lineAfter(from: number, pattern: RegExp): Promise<ConsoleLine> {
  return findLine(lines(), { from, pattern, deadlineMs: STEP_MS - MINUTE_MS });
}

function heartbeatThat(isSo: (said: Heartbeat) => boolean): Promise<Heartbeat> {
  return findHeartbeat(grid, { isSo, deadlineMs: STEP_MS - MINUTE_MS });
}
