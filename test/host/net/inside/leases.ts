// Runs in namespaces of its own; see `runInside`.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../../../src/lib/errors.ts';
import { keepLeases, leaseOnce } from '../../../../src/host/net/dhcp.ts';
import { listLinks, listRoutes, runIp } from '../../../../src/host/net/ip.ts';

await runIp([
  'netns add server',
  'link add dev eth0 type veth peer name wire netns server',
  'link add dev eth1 type veth peer name nothing netns server',
  'link set dev lo up',
  'link set dev eth0 up',
  'link set dev eth1 up',
]);
await runIp(
  ['address add 10.9.8.1/24 dev wire', 'link set dev wire up', 'link set dev nothing up'],
  { netns: 'server' },
);
const dnsmasq = spawn(
  'ip',
  [
    'netns exec server dnsmasq --no-daemon --conf-file=/dev/null --port=0 --no-ping',
    '--interface=wire --bind-interfaces --leasefile-ro',
    '--dhcp-range=10.9.8.10,10.9.8.20,1h --dhcp-option=6,10.9.8.1,9.9.9.9',
  ].flatMap((line) => line.split(' ')),
  { stdio: 'ignore' },
);
await sleep(500);
const [lease, ...others] = await leaseOnce({ links: ['eth0', 'eth1'], deadlineMs: 20_000 });
const addresses = (await listLinks()).find(({ name }) => name === 'eth0')?.addresses;
const route = (await listRoutes(4)).find(({ dst }) => dst === 'default');
const links = ['eth0', 'eth1'];
const kept = [await keepLeases({ links }), await keepLeases({ links })];
dnsmasq.kill();
const silence = await leaseOnce({ links: ['eth1'], deadlineMs: 2000 }).then(() => 'leased', codeOf);
const isThere = addresses?.some(({ address }) => address === lease?.address) === true;
console.log(JSON.stringify({ lease, others, isThere, route, kept, silence }));
