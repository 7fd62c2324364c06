// Runs in a guest as its only program; see `startWireGuest`. The machine in each stage of its boot,
// with the released boot program and agent; the test outside says when the next one begins.
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { run } from '../../../src/host/exec.ts';
import { loadModules, loadModulesForDevices, readModuleIndex } from '../../../src/host/modules.ts';
import { listLinks, listRoutes, runIp } from '../../../src/host/net/ip.ts';
import { listRules, loadRules } from '../../../src/host/net/nft.ts';
import { firewallDriver } from '../../../src/node/bringup/firewall.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';
import { comesTrue, powerOff } from '../guest/ground.ts';
import { linesOfResult } from '../guest/mark.ts';
import { phase, readWire } from './ground.ts';

const { prefix, prefix6 } = readWire();
const { signal } = new AbortController();
const NFT = '/usr/sbin/nft';
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/', LC_ALL: 'C', TZ: 'UTC' };
// None is lost, however late a machine that is being scanned comes to read it.
const orders = on(createInterface({ input: createReadStream('/dev/ttyS1') }), 'line');

/** Says which stage it is in, and stays there until the test has looked at it. */
async function stay(name: string): Promise<void> {
  await phase(name);
  await orders.next();
}

/** The tool that loads rules fails from here on, as one would that is broken. */
async function breakRules(): Promise<void> {
  await run({ file: 'mount', args: ['--bind', '/usr/bin/date', NFT] });
}

async function mendRules(): Promise<void> {
  await run({ file: 'umount', args: [NFT] });
}

/** Starts the released executable as PID 1 does. */
function startProgram(name: 'boot' | 'agent') {
  const lines: string[] = [];
  const child = spawn('/usr/bin/zos-node', [name], { env: ENVIRONMENT });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  return { child, lines, ended: once(child, 'exit') };
}

async function card() {
  const link = (await listLinks()).find(({ name }) => name === 'eth0');
  return link === undefined
    ? 'none'
    : { isUp: link.isUp, hasRules: (await listRules()).includes('table inet zos') };
}

/** A card that is up with an address and no firewall: what a stage before may have left. */
async function leaveOpen(): Promise<void> {
  await run({ file: NFT, args: ['flush', 'ruleset'] });
  await runIp([
    'link set dev eth0 up',
    `address replace ${prefix}.50/24 dev eth0`,
    `address replace ${prefix6}::50/64 dev eth0 nodad`,
  ]);
}

/** Rules that are gone and can't be put back while everything runs; then they can. */
async function tryDriver(): Promise<unknown> {
  const told: string[] = [];
  const driver = firewallDriver(openTroubles({ steady: () => 0, say: (text) => told.push(text) }));
  await leaveOpen();
  await loadRules('table inet other {}\n');
  await breakRules();
  const isSeen = (await driver.observe(signal)).has('host');
  const because = await driver.create({}, signal).then(
    () => 'created',
    (error: unknown) => (error as Error).message,
  );
  await stay('driver-broken');
  await mendRules();
  const broken = await card();
  await driver.create({}, signal);
  const mended = await card();
  return { isSeen, because, told, broken, mended };
}

async function goThrough(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  // Something that listens on every address, so that a scan has something to find.
  createServer(() => undefined).listen(8080, '::');
  await stay('bare');
  const index = await readModuleIndex();
  await loadModules(index, ['nf_tables', 'nft_ct']);
  await loadModulesForDevices(index);
  await runIp(['link set dev lo up']);
  await leaveOpen();
  await stay('open');
  await breakRules();
  const broken = startProgram('boot');
  const [status] = (await broken.ended) as [number];
  await stay('boot-broken');
  await mendRules();
  found['bootBroken'] = { status, lines: broken.lines, card: await card() };
  await runIp(['address flush dev eth0']);
  const boot = startProgram('boot');
  const isAddressed = await comesTrue(
    async () => boot.lines.some((line) => / address \d+\./u.test(line)),
    300,
  );
  await stay('boot');
  found['boot'] = { isAddressed, lines: boot.lines, card: await card() };
  boot.child.kill('SIGKILL');
  await stay('between');
  await leaveOpen();
  await breakRules();
  const agent = startProgram('agent');
  const [agentStatus] = (await agent.ended) as [number];
  await stay('agent-broken');
  await mendRules();
  found['agentBroken'] = { status: agentStatus, lines: agent.lines, card: await card() };
  found['driver'] = await tryDriver();
  await stay('mended');
  found['routes'] = await listRoutes(4);
  return found;
}

/** What the first stage would have left; nobody answers at any of these addresses. */
function layBootFiles(): void {
  const folder = '/run/zos/boot';
  mkdirSync(folder, { recursive: true });
  const url = `http://${prefix}.1:9/`;
  const write = (name: string, value: unknown): void =>
    writeFileSync(`${folder}/${name}`, JSON.stringify(value));
  write('farm.json', { grid: 'test', mirrors: [url], token: null, farmer: null });
  const identity = '0'.repeat(64);
  write('grid.json', {
    grid: 'test',
    directory: { urls: [url], identity },
    record: { policy: '' },
  });
  write('boot.json', {
    release: 'test 1',
    stages: [],
    mirror: url,
    systemSha256: identity,
    wireBytes: 0,
    reusedBytes: 0,
    versions: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
    rootSha256: identity,
    kernel: identity,
    loader: null,
    media: 'initramfs',
    refusals: [],
  });
}

const result: Record<string, unknown> = {};
try {
  mkdirSync('/var/lib/dhcpcd', { recursive: true });
  mkdirSync('/run/dhcpcd', { recursive: true });
  layBootFiles();
  Object.assign(result, await goThrough());
} catch (error) {
  result['error'] = error instanceof Error ? `${error.stack}` : String(error);
}
for (const line of linesOfResult(result)) console.log(line);
await powerOff();
