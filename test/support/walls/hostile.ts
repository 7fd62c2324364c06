// Runs in a guest as its only program; see `startWireGuest`. A hostile tenant beside another one.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerDriver } from '../../../src/container/apply.ts';
import type { ContainerSpec } from '../../../src/container/plan.ts';
import { run } from '../../../src/host/exec.ts';
import { insideNamespace } from '../../../src/host/net/ip.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { znetDriver } from '../../../src/znet/apply.ts';
import { attachmentOf, namespaceOf, znetSpecOf } from '../../../src/znet/plan.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { imageMountPath } from '../../../src/zosfs/plan.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { comesTrue, powerOff, prepareMachine, serveImage } from '../guest/ground.ts';
import { linesOfResult } from '../guest/mark.ts';
import { hardenAndRead } from './hardening.ts';
import {
  answersIn,
  containerOf,
  countIn,
  joinLan,
  logOf,
  phase,
  readWire,
  says,
  tryAsRoot,
} from './ground.ts';

const { signal } = new AbortController();
const znets = znetDriver();
const containers = containerDriver(() => new Uint8Array());
const NODE = '11'.repeat(32);
const [OWN, OTHERS] = ['5e'.repeat(16), '77'.repeat(16)];
const attach = (id: string, container: string) => attachmentOf({ znet: id, node: NODE, container });

type Ground = { readonly image: NamedFile; readonly friend: ContainerSpec };

/** Two tenants' networks; in each a server. */
async function setUp(image: NamedFile): Promise<Ground & { readonly prey: ContainerSpec }> {
  await imageDriver(await openImageStore({ dataPath: null })).create(image, signal);
  for (const id of [OWN, OTHERS]) {
    const znet = { kind: 'znet' as const, name: 'net', peers: [] };
    await znets.create(znetSpecOf({ id, node: NODE, znet, ends: new Map() }), signal);
  }
  const script = 'exec httpd -f -p 80 -h /www';
  const friend = containerOf({ name: 'friend', image, script, attachment: attach(OWN, 'friend') });
  const prey = containerOf({ name: 'prey', image, script, attachment: attach(OTHERS, 'prey') });
  await containers.create(friend, signal);
  await containers.create(prey, signal);
  return { image, friend, prey };
}

/** What is tried over the network; what is on the LAN answers whoever reaches it. */
function netTries(friend: string, prey: string, tunnelPort: number): Record<string, string> {
  const { prefix, prefix6, lanPort } = readWire();
  const both = (address: string, port: string): string =>
    `TCP ${address} ${port} UDP ${address} ${port}`;
  const udp = (address: string): string => `UDP ${address} ${lanPort}`;
  const lan = [`${prefix}.2`, `${prefix6}::2`, '169.254.169.254'];
  const many = [`${prefix}.255`, '255.255.255.255', '224.0.0.1', 'ff02::1%2', 'ff05::1'];
  const node = ['127.0.0.1', '::1', `${prefix}.50`, `${prefix6}::50`, 'fe80::1%2'];
  const internet = ['192.0.2.1', '2001:db8::1', 'fd00:ec2::254'];
  return {
    own: `TCP ${friend} 80`,
    lan: lan.map((address) => both(address, lanPort)).join(' '),
    many: many.map(udp).join(' '),
    node: node.map((address) => both(address, '8080')).join(' '),
    tunnel: `UDP ${prefix}.50 ${tunnelPort}`,
    internet: internet.map((address) => both(address, '53')).join(' '),
    prey: both(prey, '80'),
  };
}

async function tryAll({ image, friend, prey }: Ground & { readonly prey: ContainerSpec }) {
  const port = (await znets.observe(signal)).get(OWN)?.port ?? 0;
  const tries = netTries(friend.attachment?.address ?? '', prey.attachment?.address ?? '', port);
  const nets = Object.values(tries).join(' ');
  const script = `hostile calls; hostile files; hostile net ${nets}; sleep 10000`;
  const evil = containerOf({ name: 'evil', image, script, attachment: attach(OWN, 'evil') });
  await phase('hostile');
  await containers.create(evil, signal);
  const isTried = await says(evil.id, 'tried\n', 3);
  const fromContainer = answersIn(await logOf(evil.id));
  await phase('tried');
  await sleep(3000);
  // The same from the node itself, to show what the walls are worth.
  const root = imageMountPath(image.sha256);
  const rootTries = [
    await tryAsRoot(root, ['calls', `${root}/bin/plain32`]),
    await tryAsRoot(root, ['files']),
    await tryAsRoot(root, ['net', ...`${tries['lan']} ${tries['node']}`.split(' ')]),
  ];
  const insidePrey = insideNamespace(namespaceOf(OTHERS), [
    `${root}/bin/hostile`,
    'net',
    ...(tries['prey'] ?? '').split(' '),
  ]);
  rootTries.unshift(await run({ file: 'ip', args: insidePrey, deadlineMs: 60_000 }));
  const have = (await containers.observe(signal)).get(evil.id);
  if (have !== undefined) await containers.remove(evil.id, have, signal);
  const names = {
    [friend.attachment?.address ?? '']: 'own-neighbour',
    [prey.attachment?.address ?? '']: 'other-tenant',
    [` ${port}`]: ' tunnel-port',
  };
  return { isTried, names, fromContainer, fromNode: answersIn(rootTries.join('\n')) };
}

/** Whoever asks a neighbour for a page all the time sees whether it is held up. */
const ASK = `i=0; while true; do wget -q -T 5 -O - http://friend/ >/dev/null && i=$((i+1)) &&
echo "got $i"; sleep 0.2; done`;

async function tryHarm({ image, friend, prey }: Ground & { readonly prey: ContainerSpec }) {
  const hosts = [{ name: 'friend', address: friend.attachment?.address ?? '' }];
  const attachment = attach(OWN, 'asker');
  const asker = containerOf({ name: 'asker', image, script: ASK, attachment, hosts });
  await containers.create(asker, signal);
  const isAsking = await says(asker.id, 'got ');
  const neighbours = async (): Promise<unknown[]> => {
    const all = await containers.observe(signal);
    return [friend, prey, asker].map(({ id }) => {
      const { state, pid, startedAtMs, oomKills } = all.get(id) ?? {};
      return { state, pid, startedAtMs, oomKills };
    });
  };
  const gotCount = async (): Promise<number> => (await logOf(asker.id)).split('got ').length - 1;
  const before = { neighbours: await neighbours(), available: available() };
  const found: Record<string, unknown> = { isAsking };
  for (const what of ['bomb', 'hog']) {
    await phase(what);
    const script = `exec hostile ${what}`;
    const evil = containerOf({ name: what, image, script, attachment: null });
    const gotBefore = await gotCount();
    await containers.create(evil, signal);
    const cgroup = `/sys/fs/cgroup/zos/containers/${evil.id}`;
    const see = async () => (await containers.observe(signal)).get(evil.id);
    const isAtLimit = await comesTrue(async () =>
      what === 'bomb'
        ? countIn(`${cgroup}/pids.events`, 'max') > 100
        : ((await see())?.oomKills ?? 0) > 0,
    );
    const pids = what === 'bomb' ? countIn(`${cgroup}/pids.current`) : null;
    const isAnswering = await comesTrue(async () => (await gotCount()) >= gotBefore + 10);
    const canRun = (await run({ file: 'date', args: ['+%s'] })).length > 5;
    const have = await see();
    const because = have === undefined ? 'gone' : containers.compare(evil, have).because;
    if (have !== undefined) await containers.remove(evil.id, have, signal);
    const left = (await see()) === undefined;
    found[what] = { isAtLimit, pids, isAnswering, canRun, because, isRemoved: left };
  }
  const after = { neighbours: await neighbours(), available: available() };
  return { ...found, before, after };
}

function available(): number {
  return countIn('/proc/meminfo', 'MemAvailable:') * 1024;
}

const result: Record<string, unknown> = {};
try {
  result['hardening'] = await hardenAndRead();
  await prepareMachine();
  await joinLan(readWire());
  createServer(() => undefined).listen('\0zos-hostile');
  const image = await serveImage('/tmp/hostile.erofs');
  const ground = await setUp(image);
  result['tries'] = await tryAll(ground);
  result['harm'] = await tryHarm(ground);
} catch (error) {
  result['error'] = error instanceof Error ? `${error.stack}` : String(error);
}
for (const line of linesOfResult(result)) console.log(line);
await powerOff();
