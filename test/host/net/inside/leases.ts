// Runs in namespaces of its own; see `runInside`.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepLeases, leasedLinks, readLease } from '../../../../src/host/net/dhcp.ts';
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
const links = ['eth0', 'eth1'];
await keepLeases({ links });
const kept = [await leasedLinks()];
const addressesOf = async (): Promise<string[]> => {
  const link = (await listLinks()).find(({ name }) => name === 'eth0');
  return (link?.addresses ?? []).map(({ address }) => address);
};
const hasFour = async (): Promise<boolean> =>
  (await addressesOf()).some((address) => address.startsWith('10.9.8.'));
for (let look = 0; look < 200 && !(await hasFour()); look += 1) await sleep(100);
const lease = await readLease('eth0');
const others = [await readLease('eth1')].filter((one) => one !== undefined);
const addresses = await addressesOf();
const route = (await listRoutes(4)).find(({ dst }) => dst === 'default');
dnsmasq.kill();
await keepLeases({ links: ['eth0'] });
kept.push(await leasedLinks());
await keepLeases({ links: [] });
kept.push(await leasedLinks());
const after = await addressesOf();
const isThere = [addresses, after].every((all) => all.includes(lease?.address ?? ''));
console.log(JSON.stringify({ lease, others, isThere, route, kept }));
