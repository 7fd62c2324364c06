// Part of a script that runs in a guest: the other end of its cards, in namespaces of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../../../src/host/exec.ts';
import { listLinks, runIp } from '../../../../src/host/net/ip.ts';
import { FORWARD_IPV6, writeSettings } from '../../../../src/host/net/settings.ts';

const ROUTER = { netns: 'router' };
const FORWARD_IPV4 = '/proc/sys/net/ipv4/ip_forward';

/** Which card of the guest is on which wire: the first of a pair is the node's. */
export const WIRES = ['dhcp', 'left', 'right', 'six', 'fixed'] as const;
export type Wire = (typeof WIRES)[number];

/** The card of an end of a wire. */
export function macOf(wire: Wire, end: 'node' | 'router'): string {
  return `52:54:00:00:0${end === 'node' ? 1 : 2}:0${WIRES.indexOf(wire)}`;
}

/** Puts the router's cards into its namespace under the names of their wires. */
export async function openRouter(): Promise<void> {
  await runIp(['netns add router', 'netns add middle', 'netns add far']);
  const links = await listLinks();
  for (const wire of WIRES) {
    const own = links.find(({ mac }) => mac === macOf(wire, 'router'))?.name ?? '';
    await runIp([`link set dev ${own} netns router`]);
    await runIp([`link set dev ${own} name ${wire}`], ROUTER);
  }
  await runIp(
    [
      'link set dev lo up',
      'address add 10.1.0.1/24 dev dhcp',
      'address add fd04::1/64 dev six nodad',
      'address add 10.5.0.1/24 dev fixed',
      ...['dhcp', 'six', 'fixed'].map((wire) => `link set dev ${wire} up`),
    ],
    ROUTER,
  );
  await openFar();
}

/** Behind the router a small MTU, and nobody says so: what tells of it is dropped. */
async function openFar(): Promise<void> {
  await runIp(
    [
      'link add dev middle type veth peer name up netns middle',
      'address add 10.8.0.1/24 dev middle',
      'link set dev middle mtu 1280 up',
      'route add 10.9.0.0/24 via 10.8.0.2',
    ],
    ROUTER,
  );
  await runIp(
    [
      'link add dev far type veth peer name up netns far',
      'address add 10.8.0.2/24 dev up',
      'address add 10.9.0.1/24 dev far',
      'link set dev up mtu 1280 up',
      'link set dev far up',
      'route add default via 10.8.0.1',
    ],
    { netns: 'middle' },
  );
  await runIp(
    [
      'link set dev lo up',
      'address add 10.9.0.2/24 dev up',
      'link set dev up up',
      'route add default via 10.9.0.1',
    ],
    { netns: 'far' },
  );
  for (const netns of ['router', 'middle']) {
    await writeSettings({ netns, paths: [FORWARD_IPV4, FORWARD_IPV6], value: '1' });
  }
  const rules = `table inet hole {
    chain out { type filter hook output priority filter; icmp type destination-unreachable drop; }
  }`;
  await run({ file: 'ip', args: ['netns', 'exec', 'router', 'nft', '-f', '-'], stdin: rules });
}

/** The switch begins to bundle and to know its VLANs: until now it passed nothing on. */
export async function openSwitch(): Promise<void> {
  await runIp(
    [
      'link add name trunk type bond mode 802.3ad lacp_rate fast miimon 100',
      'link set dev left master trunk',
      'link set dev right master trunk',
      'link set dev trunk up',
      'link add link trunk name forty type vlan id 40',
      'link add link trunk name fortyone type vlan id 41',
      'address add 10.40.0.1/24 dev forty',
      'address add 10.41.0.1/24 dev fortyone',
      'link set dev forty up',
      'link set dev fortyone up',
    ],
    ROUTER,
  );
  startDhcp('forty', ['--dhcp-range=10.40.0.10,10.40.0.20,2m', '--port=0']);
}

/** dnsmasq of the host that built this guest, with the host's own libraries. */
export function startDhcp(link: string, options: readonly string[]): ChildProcess {
  const text = [
    'netns exec router /tmp/ld.so --library-path /tmp /tmp/dnsmasq --no-daemon',
    '--conf-file=/dev/null --no-resolv --no-hosts --no-ping --leasefile-ro --log-dhcp',
    `--user= --group= --pid-file= --interface=${link} --bind-interfaces --except-interface=lo`,
    `--log-facility=/run/${link}.log`,
  ].join(' ');
  return spawn('/usr/bin/ip', [...text.split(' '), ...options], { stdio: 'inherit' });
}

/** How often a line of dnsmasq's log on a link says so. */
export function countInLog(link: string, word: string): number {
  return readFileSync(`/run/${link}.log`, 'utf8').split(word).length - 1;
}

/** The same script in a namespace, as whoever serves there; ends with this machine. */
export async function startInside(netns: string, role: string): Promise<void> {
  const inside = ['netns', 'exec', netns, '/tmp/node', '/tmp/script.mjs', role];
  spawn('/usr/bin/ip', inside, { stdio: 'inherit' });
  writeFileSync('/run/started', role);
  await sleep(1);
}
