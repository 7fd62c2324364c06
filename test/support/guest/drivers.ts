// Runs in a guest as its only program; see `runInGuest`.
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { containerDriver } from '../../../src/container/apply.ts';
import { LOG_BYTES_MAX, readLogTail } from '../../../src/container/observe.ts';
import { listMounts } from '../../../src/host/mount.ts';
import { listLinks, listNamespaces, runIp } from '../../../src/host/net/ip.ts';
import { listSet } from '../../../src/host/net/nft.ts';
import { TUNNEL_PORTS } from '../../../src/host/net/firewall.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { openDataDisks } from '../../../src/disk/apply.ts';
import { znetDriver } from '../../../src/znet/apply.ts';
import { attachmentOf, namespaceOf, znetSpecOf } from '../../../src/znet/plan.ts';
import { znetEndOf } from '../../../src/znet/status.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { imagePath } from '../../../src/zosfs/plan.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { comesTrue, powerOff, prepareMachine, serveImage, shellContainer } from './ground.ts';
import { linesOfResult } from './mark.ts';

const { signal } = new AbortController();
const znets = znetDriver();
const containers = containerDriver(() => new Uint8Array());
const ZNET = '5e'.repeat(16);
/** The other node's end, in this same machine: a namespace can't be named twice. */
const OTHER_END = '77'.repeat(16);
const [HERE, THERE] = ['11'.repeat(32), '22'.repeat(32)];

async function tryDisk(): Promise<unknown> {
  const parts = { machine: '', steady: () => performance.now() };
  const refused = await openDataDisks({ ...parts, takeBlankDisks: false });
  const taken = await openDataDisks({ ...parts, takeBlankDisks: true });
  const again = await openDataDisks({ ...parts, takeBlankDisks: false });
  const mounted = (await listMounts()).find(({ path }) => path === '/data');
  return {
    refused: refused.path === null ? refused.because : refused.path,
    taken: taken.path === null ? taken.because : taken.isNew,
    again: again.path === null ? again.because : again.isNew,
    options: mounted?.options.filter((option) => option.startsWith('no')),
    type: mounted?.type,
  };
}

async function tryImages(image: NamedFile): Promise<unknown> {
  const found: unknown[] = [];
  for (const dataPath of [null, '/data']) {
    const ground = await openImageStore({ dataPath });
    const driver = imageDriver(ground);
    await driver.create(image, signal);
    const have = (await driver.observe(signal)).get(image.sha256);
    const mounted = (await listMounts()).find(({ path }) => path === have?.mountPath);
    if (have !== undefined) await driver.remove(image.sha256, have, signal);
    // Somebody changes the file on the disk; no source can be reached.
    writeFileSync(imagePath(ground, image.sha256), Buffer.alloc(image.lengthBytes, 1));
    const tampered = await driver
      .create({ ...image, sources: [] }, signal)
      .then(() => 'mounted', codeOf);
    const left = readdirSync(ground.folder);
    await driver.create(image, signal);
    found.push({ isMounted: have?.isMounted, from: mounted?.source.split('/')[1], tampered, left });
    const now = (await driver.observe(signal)).get(image.sha256);
    if (dataPath === null && now !== undefined) await driver.remove(image.sha256, now, signal);
  }
  return found;
}

/** Two ends of one znet, as two nodes would make them, each told the other's receipt. */
async function tryZnets(): Promise<unknown> {
  const znet = (node: string) => ({ kind: 'znet' as const, name: 'net', peers: [{ node }] });
  const lonely = znetSpecOf({ id: ZNET, node: HERE, znet: znet(THERE), ends: new Map() });
  // A start that was cut off.
  await runIp([`netns add ${namespaceOf(ZNET)}`]);
  const half = (await znets.observe(signal)).get(ZNET);
  const halfBecause = half === undefined ? 'unseen' : znets.compare(lonely, half).because;
  if (half !== undefined) await znets.remove(ZNET, half, signal);
  await znets.create(lonely, signal);
  const here = (await znets.observe(signal)).get(ZNET);
  const hereEnd = here === undefined ? undefined : znetEndOf(here, ['127.0.0.1']);
  if (here === undefined || hereEnd === undefined) return { halfBecause, here };
  const other = znetSpecOf({
    id: ZNET,
    node: THERE,
    znet: znet(HERE),
    ends: new Map([[HERE, hereEnd]]),
  });
  await znets.create({ ...other, id: OTHER_END }, signal);
  const there = (await znets.observe(signal)).get(OTHER_END);
  const thereEnd = there === undefined ? undefined : znetEndOf(there, ['127.0.0.1']);
  const ends = new Map(thereEnd === undefined ? [] : [[THERE, { ...thereEnd, znet: ZNET }]]);
  const whole = znetSpecOf({ id: ZNET, node: HERE, znet: znet(THERE), ends });
  const before = znets.compare(whole, here).because;
  await znets.update(whole, here, signal);
  const settled = (await znets.observe(signal)).get(ZNET);
  const ports = await listSet(TUNNEL_PORTS);
  return {
    halfBecause,
    before,
    after: settled === undefined ? 'gone' : znets.compare(whole, settled).change,
    arePortsOpen: [hereEnd, thereEnd].every((end) => ports.includes(`${end?.port}`)),
    outside: (await listLinks()).map(({ name }) => name),
  };
}

const LOOK = `alias b=busybox
b id; b grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; b cat /proc/self/uid_map
cd /sys/fs/cgroup; b cat memory.max memory.swap.max cpu.max pids.max
b touch /x; b mkdir /tmp/d; b mount -t tmpfs none /tmp/d
while true; do wget -q -O - http://web/ && break; sleep 1; done; sleep 1000`;

async function tryContainers(image: NamedFile): Promise<unknown> {
  const here = attachmentOf({ znet: ZNET, node: HERE, container: 'web' });
  const there = {
    ...attachmentOf({ znet: ZNET, node: THERE, container: 'cli' }),
    netns: namespaceOf(OTHER_END),
  };
  const web = shellContainer({
    name: 'web',
    image,
    script: 'exec httpd -f -p 80 -h /www',
    attachment: here,
  });
  const hosts = [{ name: 'web', address: here.address }];
  const cli = shellContainer({ name: 'cli', image, script: LOOK, attachment: there, hosts });
  await containers.create(web, signal);
  await containers.create(cli, signal);
  const log = async (): Promise<string> => textOf(await readLogTail(cli.id, 20_000));
  const gotPage = await comesTrue(async () => /<html|hello/iu.test(await log()));
  const have = (await containers.observe(signal)).get(web.id);
  return {
    gotPage,
    log: await log(),
    state: have?.state,
    difference: have === undefined ? 'gone' : containers.compare(web, have).change,
    isStartKnown: Math.abs((have?.startedAtMs ?? 0) - Date.now()) < 120_000,
    nullOwner: statSync('/dev/null').uid,
    counts: (await containers.observe(signal)).get(cli.id)?.counts,
  };
}

/** Takes more memory than it may, writes more than it may, and was never finished. */
async function tryLimits(image: NamedFile): Promise<unknown> {
  const fill = 'for f in /tmp/a /run/b; do busybox dd if=/dev/zero of=$f bs=1M; done; sleep 99';
  const hog = shellContainer({ name: 'hog', image, script: fill });
  await containers.create(hog, signal);
  const see = async (id: string) => (await containers.observe(signal)).get(id);
  const isKilled = await comesTrue(async () => (await see(hog.id))?.state === 'stopped');
  const killed = await see(hog.id);
  const because = killed === undefined ? 'gone' : containers.compare(hog, killed).because;
  if (killed !== undefined) await containers.update(hog, killed, signal);
  const again = (await see(hog.id))?.pid !== killed?.pid;
  const loud = shellContainer({
    name: 'loud',
    image,
    script: 'while true; do busybox cat /bin/busybox; done',
  });
  await containers.create(loud, signal);
  const isFull = await comesTrue(async () => ((await see(loud.id))?.logBytes ?? 0) > 0);
  const sizes = [(await see(loud.id))?.logBytes, (await see(loud.id))?.logBytes];
  await mkdir('/run/zos/containers/0000000000000000-half', { recursive: true });
  const half = (await see('0000000000000000-half'))?.state;
  // A log that fills again while it is cut back is as long as it may get, until the next look.
  const isCut = await comesTrue(
    async () => ((await see(loud.id))?.logBytes ?? Infinity) <= LOG_BYTES_MAX / 2,
  );
  const isBounded = isCut && sizes.every((size) => (size ?? Infinity) <= LOG_BYTES_MAX);
  return { isKilled, because, again, isFull, isBounded, half };
}

async function removeAll(): Promise<unknown> {
  for (const driver of [containers, znets] as const) {
    for (const [id, have] of await driver.observe(signal)) {
      await (driver.remove as (id: string, have: unknown, signal: AbortSignal) => Promise<void>)(
        id,
        have,
        signal,
      );
    }
  }
  const mounts = (await listMounts()).map(({ path }) => path);
  return {
    namespaces: await listNamespaces(),
    links: (await listLinks()).map(({ name }) => name),
    bundles: readdirSync('/run/zos/containers'),
    cgroups: readdirSync('/sys/fs/cgroup/zos/containers', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
    logs: mounts.filter((path) => path.endsWith('/log')),
    ports: await listSet(TUNNEL_PORTS),
  };
}

const result: Record<string, unknown> = {};
try {
  await prepareMachine();
  result['disk'] = await tryDisk();
  const image = await serveImage();
  result['images'] = await tryImages(image);
  result['znets'] = await tryZnets();
  result['containers'] = await tryContainers(image);
  result['limits'] = await tryLimits(image);
  result['removed'] = await removeAll();
} catch (error) {
  result['error'] = error instanceof Error ? `${error.stack}` : String(error);
}
for (const line of linesOfResult(result)) console.log(line);
await powerOff();
