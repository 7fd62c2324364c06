// Runs in a guest as its only program, twice on the same disk; see `runInGuest`.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { containerDriver } from '../../../src/container/apply.ts';
import { readLogTail } from '../../../src/container/observe.ts';
import type { ContainerSpec, SealedSecret } from '../../../src/container/plan.ts';
import { openSecret } from '../../../src/contract/checks/body.ts';
import { openDataDisks } from '../../../src/disk/apply.ts';
import { listOpenDevices } from '../../../src/host/block/cryptsetup.ts';
import { listLoops } from '../../../src/host/block/losetup.ts';
import { hardenKernel } from '../../../src/host/kernel/hardening.ts';
import { mount } from '../../../src/host/mount.ts';
import { loadModules, readModuleIndex } from '../../../src/host/modules.ts';
import type { Difference } from '../../../src/lib/driver.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import type { Self } from '../../../src/node/bringup/identity.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { MiB } from '../../../src/lib/units.ts';
import { volumeDriver } from '../../../src/volume/apply.ts';
import {
  volumeDevicePath,
  type VolumeDisk,
  type VolumeHave,
  volumeMountPath,
  type VolumeSpec,
} from '../../../src/volume/plan.ts';
import type { VolumeFormat } from '../../../src/volume/spec.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { comesTrue, powerOff, prepareMachine, serveImage, shellContainer } from './ground.ts';
import { linesOfResult } from './mark.ts';
import { keepSecret, openNode, seedsOf } from './volume-identity.ts';

const { signal } = new AbortController();
const CONTRACT = 'c0ffee'.padEnd(64, '0');
/** What stands nowhere but in this program and, in the first run, in what the tenant wrote. */
const MARK = hashOf('a marker that a tenant wrote');
const CLEAR = hashOf('a marker in clear, which has to be found');
const disks: VolumeDisk[] = [];
let wrongKeys = 0;
const volumes = volumeDriver({ disks: () => disks }, ({ binding }) => {
  const hash = createHash('sha512').update(`key of ${binding}`);
  return new Uint8Array(wrongKeys > 0 ? randomBytes(64) : hash.digest());
});
let nodeKey = new Uint8Array();
let image: NamedFile = { sha256: '', lengthBytes: 0, sources: [] };
const containers = containerDriver((secret) => openSecret(nodeKey, secret));

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function volume(format: VolumeFormat, lengthMiB: number): VolumeSpec {
  return {
    id: `${CONTRACT.slice(0, 16)}-${format}`,
    contract: CONTRACT,
    tenant: 'ab'.repeat(32),
    class: 'ssd',
    format,
    lengthBytes: lengthMiB * MiB,
    ownerId: 1000,
    notAfterMs: Date.UTC(2030, 0, 1),
    key: { sealed: '', binding: format },
  };
}

type Secrets = readonly SealedSecret[];

async function see({ id }: { readonly id: string }): Promise<VolumeHave | undefined> {
  return (await volumes.observe(signal)).get(id);
}

async function differs(spec: VolumeSpec): Promise<Difference | undefined> {
  const have = await see(spec);
  return have === undefined ? undefined : volumes.compare(spec, have);
}

/** Brings a volume to what is wanted, as the loop does. */
async function reach(spec: VolumeSpec): Promise<string> {
  try {
    const have = await see(spec);
    if (have === undefined) await volumes.create(spec, signal);
    else await volumes.update(spec, have, signal);
    return (await differs(spec))?.change ?? 'missing';
  } catch (error) {
    return `${codeOf(error)}: ${(error as Error).message}`;
  }
}

function user(spec: VolumeSpec, script: string, secrets: Secrets): ContainerSpec {
  const isRaw = spec.format === 'raw';
  const mount = isRaw
    ? { source: volumeDevicePath(spec.id), path: '/dev/vol', kind: 'device' as const }
    : { source: volumeMountPath(spec.id), path: '/run/vol', kind: 'folder' as const };
  const text = `alias b=busybox\n${script}\necho done; b sleep 1000`;
  return {
    ...shellContainer({ name: spec.format, image, script: text, secrets }),
    mounts: [mount],
  };
}

/** What a container with the volume says. */
async function runIn(spec: VolumeSpec, script: string, secrets: Secrets = []): Promise<string> {
  const container = user(spec, script, secrets);
  await containers.create(container, signal);
  const log = async (): Promise<string> =>
    Buffer.from(await readLogTail(container.id, 20_000)).toString('latin1');
  await comesTrue(async () => /^done$/mu.test(await log()));
  const have = (await containers.observe(signal)).get(container.id);
  const text = await log();
  if (have !== undefined) await containers.remove(container.id, have, signal);
  return text;
}

const WRITE_FILES = `cd /run/vol && b ls -lnd . && b ls -A
echo ${MARK} > mark && b ls -ln mark; b sync
b fallocate -l 400M fill 2>&1 | b grep -o 'No space.*'; b rm -f fill`;
const FILL = `cd /run/vol; b dd if=/dev/zero of=fill bs=1M 2>&1 | b grep -o 'No space.*'
b ls -l fill; b rm fill; b sync`;
const WRITE_RAW = `b ls -ln /dev/vol; echo ${MARK} | b dd of=/dev/vol bs=512 seek=8 2>/dev/null
b dd if=/dev/zero of=/dev/vol bs=1M seek=16 2>&1 | b grep -o 'No space.*'; b sync`;
const READ_FILES = 'b ls -ln /run/vol/mark; b cat /run/vol/mark; b df -k /run/vol | b tail -1';
const READ_RAW = 'b dd if=/dev/vol bs=512 skip=8 count=1 2>/dev/null | b head -c 64; echo';

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; what: T }> {
  const startMs = Date.now();
  const what = await work();
  return { ms: Date.now() - startMs, what };
}

const FORMATS = [volume('ext4', 64), volume('xfs', 320), volume('btrfs', 256), volume('raw', 32)];

async function firstRun(self: Self): Promise<Record<string, unknown>> {
  const { sealed, value } = await keepSecret(self);
  const found: Record<string, unknown> = { secret: value };
  for (const spec of FORMATS) {
    const made = await timed(async () => reach(spec));
    const before = await see(spec);
    const script = spec.format === 'raw' ? WRITE_RAW : WRITE_FILES;
    const log = made.what === 'none' ? await runIn(spec, script) : '';
    found[spec.format] = { made, takenAtFirst: before?.takenBytes, log };
  }
  const ext4 = FORMATS[0] as VolumeSpec;
  const told = await runIn(ext4, 'b cat /run/secrets/password; echo', [sealed]);
  found['isSecretThere'] = told.includes(value);
  const filled = await runIn(ext4, FILL);
  found['quota'] = { filled, takenAfter: (await see(ext4))?.takenBytes };
  return found;
}

/** The same disk in a machine that was switched off and on, with what the tenant knows. */
async function secondRun(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  const ext4 = FORMATS[0] as VolumeSpec;
  wrongKeys = 1;
  found['otherKey'] = await reach(ext4);
  wrongKeys = 0;
  for (const spec of FORMATS) {
    const before = (await differs(spec))?.because;
    const opened = await timed(async () => reach(spec));
    const script = spec.format === 'raw' ? READ_RAW : READ_FILES;
    found[spec.format] = { before, opened, log: await runIn(spec, script) };
  }
  found['grown'] = await grow();
  found['refused'] = {
    shrunk: await reach({ ...ext4, lengthBytes: 32 * MiB }),
    format: await reach({ ...ext4, format: 'xfs', lengthBytes: 512 * MiB }),
    contract: await reach({ ...ext4, contract: 'dead'.padEnd(64, '0') }),
    room: await reach({ ...volume('raw', 64 * 1024), id: 'f'.repeat(16) }),
  };
  found['half'] = await tryHalf();
  found['erased'] = await erase();
  return found;
}

/** Longer while a container has it, and still with what was in it. */
async function grow(): Promise<unknown> {
  const grown: unknown[] = [];
  for (const spec of FORMATS) {
    const longer = { ...spec, lengthBytes: spec.lengthBytes + 64 * MiB };
    const because = (await differs(longer))?.because;
    const now = await timed(async () => reach(longer));
    const script =
      spec.format === 'raw' ? `${READ_RAW}\nb blockdev --getsize64 /dev/vol` : READ_FILES;
    grown.push({ format: spec.format, because, now, log: await runIn(longer, script) });
  }
  return grown;
}

/** A start that was cut off, and one whose label somebody broke. */
async function tryHalf(): Promise<unknown> {
  const half = { ...volume('ext4', 16), id: `${'a'.repeat(16)}-half` };
  await reach(half);
  const labelPath = `/data/volumes/${half.id}.json`;
  const label = JSON.parse(readFileSync(labelPath, 'utf8')) as object;
  writeFileSync(labelPath, JSON.stringify({ ...label, isWhole: false }));
  const because = (await differs(half))?.because;
  const again = await reach(half);
  writeFileSync(labelPath, 'no label');
  const broken = await reach(half);
  writeFileSync(labelPath, JSON.stringify({ ...label, isWhole: true }));
  const mended = (await differs(half))?.change;
  return { because, again, broken, mended };
}

async function erase(): Promise<unknown> {
  const before = await volumes.observe(signal);
  const roomBefore = statfsSync('/data').bavail;
  for (const [id, have] of before) await volumes.remove(id, have, signal);
  const roomAfter = statfsSync('/data').bavail;
  return {
    removed: [...before.keys()].length,
    isRoomBack: roomAfter > roomBefore,
    left: readdirSync('/data/volumes'),
    devices: (await listOpenDevices()).map(({ name }) => name),
    loops: (await listLoops()).map(({ filePath }) => filePath),
    mounts: readdirSync('/run/zos/volumes'),
  };
}

const result: Record<string, unknown> = {};
try {
  await prepareMachine();
  const options = ['nosuid', 'nodev', 'noexec'];
  const path = '/sys/kernel/security';
  await mount({ type: 'securityfs', source: 'securityfs', path, options });
  result['soft'] = await hardenKernel();
  const { failed } = await loadModules(await readModuleIndex(), [
    'loop',
    'aesni_intel',
    'xts',
    'dm_crypt',
    'xfs',
    'btrfs',
  ]);
  result['failed'] = failed;
  const opened = await openDataDisks({
    takeBlankDisks: true,
    machine: '',
    steady: () => performance.now(),
  });
  disks.push(...opened.disks);
  const self = await openNode();
  nodeKey = Uint8Array.from(self.keys.sealing.secretKey);
  const { isNew, isSealed } = self;
  Object.assign(result, { disks, isNew, isSealed, id: self.identity.id, seeds: seedsOf(self) });
  const isFirst = !existsSync('/data/volumes');
  image = await serveImage();
  await imageDriver(await openImageStore({ dataPath: null })).create(image, signal);
  writeFileSync('/data/clear', CLEAR, { flush: true });
  Object.assign(result, await (isFirst ? firstRun(self) : secondRun()));
} catch (error) {
  result['error'] = error instanceof Error ? `${error.stack}` : String(error);
}
for (const line of linesOfResult(result)) console.log(line);
await powerOff();
