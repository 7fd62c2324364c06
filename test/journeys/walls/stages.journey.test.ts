import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Guest } from '../../../boot/lab/guest.ts';
import { type Lab, openLab } from '../../../boot/lab/lab.ts';
import { runIp } from '../../../src/host/net/ip.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { readResult, RESULT_MARK } from '../../support/guest/mark.ts';
import { isNeighbourly, scan, type Scan, type Stranger } from '../../support/walls/stranger.ts';
import { prefixesOf, startWireGuest } from '../../support/walls/wire.ts';

// One machine, looked at from another one in each stage of its boot, and with its rules broken.
const ROOT = join(import.meta.dirname, '../../..');
const MAC = '52:54:00:0b:ad:02';
const SUFFIX = '5054:ff:fe0b:ad02';
const ALL = '1-65535';
const OWN_LINES = /^(?:walls|zos|guest): /u;
const SOME = '22,53,80,111,443,2379,5353,6443,8080,10250,50000-50100';
const UDP = '53,67-69,123,161,500,546,547,1900,4500,5353,41641,51820-51840';

type Program = { readonly status?: number; readonly lines: readonly string[]; card: unknown };
type Found = {
  readonly error?: string;
  readonly bootBroken: Program;
  readonly boot: Program & { readonly isAddressed: boolean };
  readonly agentBroken: Program;
  readonly driver: Readonly<Record<string, unknown>>;
  readonly routes: readonly Readonly<Record<string, string>>[];
};

let lab: Lab;
let found: Found;
const scans = new Map<string, Scan>();

beforeAll(async () => {
  lab = await openLab({
    name: 'stages',
    accelerator: 'tcg',
    onLine: (_guest, { text }) => void (OWN_LINES.test(text) && console.log(text)),
  });
  const { prefix, prefix6 } = prefixesOf(lab);
  await lab.startDhcp({ scriptUrl: `http://${lab.address}:9/` });
  const { netns } = await lab.addStranger('scan');
  await runIp([`address add ${prefix6}::200/64 dev eth0 nodad`], { netns });
  const wire = join(lab.folder, 'wire.json');
  await writeFile(wire, JSON.stringify({ prefix, prefix6, lanPort: '7' }));
  const secondSerialPath = join(lab.folder, 'orders');
  const guest = await startWireGuest(lab, {
    root: ROOT,
    script: join(ROOT, 'test/support/walls/stages.ts'),
    mac: MAC,
    files: { 'wire.json': wire },
    secondSerialPath,
  });
  await walk(guest, { netns, mac: MAC }, secondSerialPath);
  await guest.waitFor(new RegExp(RESULT_MARK, 'u'), 8 * MINUTE_MS);
  found = readResult(guest.lines.map(({ text }) => text)) as Found;
}, 30 * MINUTE_MS);

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

/** Scans in each stage that the guest stays in, and sends it on. */
async function walk(guest: Guest, stranger: Stranger, ordersPath: string): Promise<void> {
  const { prefix, prefix6 } = prefixesOf(lab);
  const fixed = [`${prefix}.50`, `${prefix6}::50`];
  const own = [`${prefix6}:${SUFFIX}`, `fe80::${SUFFIX}%eth0`];
  const leased = async (): Promise<string> => (await lab.addressOf(MAC)) ?? 'none';
  const stages: readonly (readonly [string, () => Promise<string[]>, string])[] = [
    ['bare', async () => [...fixed, ...own], SOME],
    ['open', async () => fixed, SOME],
    ['boot-broken', async () => [...fixed, ...own], SOME],
    ['boot', async () => [await leased(), ...own.slice(1)], ALL],
    ['between', async () => [await leased(), ...own], SOME],
    ['agent-broken', async () => [...fixed, await leased(), ...own], SOME],
    ['driver-broken', async () => [...fixed, await leased(), ...own], SOME],
    ['mended', async () => [await leased(), ...fixed, ...own], SOME],
  ];
  let orders: Socket | undefined;
  for (const [stage, addresses, ports] of stages) {
    await guest.waitFor(new RegExp(`walls: ${stage}\\b`, 'u'), 8 * MINUTE_MS);
    orders ??= createConnection(ordersPath);
    scans.set(stage, await scan(stranger, { addresses: await addresses(), tcp: ports, udp: UDP }));
    if (!orders.write('go\n')) await once(orders, 'drain');
  }
  orders?.destroy();
}

function scanOf(stage: string): Scan {
  const seen = scans.get(stage);
  if (seen === undefined) throw new Error(`Nobody looked at the stage ${stage}.`);
  return seen;
}

test('the script ran to its end', () => {
  expect(found.error).toBeUndefined();
});

test('a machine without rules is found by these scans', () => {
  const { answers } = scanOf('open');
  expect(answers.filter((answer) => answer.startsWith('8080/open/tcp'))).toHaveLength(2);
});

test.for(['boot', 'between', 'mended'])(
  'in the stage %s every port is silent, TCP and UDP, IPv4 and IPv6',
  (stage) => {
    const { answers, sent } = scanOf(stage);
    expect(answers).toEqual([]);
    // Not even a refusal; its neighbours are told its hardware address, and DHCP goes on.
    const loud = sent.filter((line) => !isNeighbourly(line) && !/\.68 > .*\.67: BOOTP/u.test(line));
    expect(loud).toEqual([]);
    // It is on the network all the same: what was mended is, by the driver's own word below.
    if (stage !== 'mended') expect(sent.some((line) => line.startsWith('ARP'))).toBe(true);
  },
);

test.for(['bare', 'boot-broken', 'agent-broken', 'driver-broken'])(
  'in the stage %s the machine is on no network: not one packet',
  (stage) => {
    expect(scanOf(stage)).toEqual({ answers: [], sent: [] });
  },
);

test('a boot program and an agent that can’t load the rules take the cards down, and say so', () => {
  for (const { status, lines, card } of [found.bootBroken, found.agentBroken]) {
    expect(status).toBe(1);
    expect(lines.join('\n')).toContain('every network card is down');
    expect(card).toMatchObject({ isUp: false, hasRules: false });
  }
  expect(found.agentBroken.lines.join('\n')).toContain('trouble FIREWALL_BROKEN');
});

test('rules that are lost while it runs are put back; until they are, the cards stay down', () => {
  const { isSeen, because, told, broken, mended } = found.driver;
  expect(isSeen).toBe(false);
  expect(because).toContain('every network card is down');
  expect(told).toEqual([
    expect.stringContaining('trouble FIREWALL_BROKEN The firewall can'),
    'trouble over FIREWALL_BROKEN',
  ]);
  expect(broken).toEqual({ isUp: false, hasRules: false });
  expect(mended).toEqual({ isUp: true, hasRules: true });
});
