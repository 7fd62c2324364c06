// Runs in namespaces of its own; see `runInside`.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../../../src/host/exec.ts';
import {
  closeTunnelPort,
  isHostClosed,
  hostRules,
  openTunnelPort,
  TUNNEL_PORTS,
} from '../../../../src/host/net/firewall.ts';
import { insideNamespace, runIp } from '../../../../src/host/net/ip.ts';
import { listRules, listSet, loadRules } from '../../../../src/host/net/nft.ts';

const FAR = { netns: 'far' };
const HERE = '10.9.9.1';

await runIp([
  'link set dev lo up',
  'netns add far',
  'link add dev near type veth peer name far netns far',
  `address add ${HERE}/24 dev near`,
  'link set dev near up',
]);
await runIp(['address add 10.9.9.2/24 dev far', 'link set dev far up'], FAR);

const server = createServer((socket) => socket.end()).listen(80, HERE);
await once(server, 'listening');
const socket = createSocket('udp4');
const heard: string[] = [];
socket.on('message', (bytes) => heard.push(bytes.toString()));
socket.bind(7, HERE);
await once(socket, 'listening');

/** What a stranger on the wire gets: by TCP, and by a UDP packet that says its name. */
async function knock(name: string): Promise<string> {
  const script = `
    const udp = require('dgram').createSocket('udp4');
    udp.send('${name}', 7, '${HERE}', () => udp.close());
    const tcp = require('net').connect(80, '${HERE}');
    const end = (word) => { console.log(word); process.exit(0); };
    tcp.on('connect', () => end('open')).on('error', () => end('refused'));
    setTimeout(() => end('silent'), 500);`;
  const args = insideNamespace('far', [process.execPath, '-e', script]);
  const tcp = (await run({ file: 'ip', args })).trim();
  await sleep(50);
  return `${tcp} ${heard.includes(name)}`;
}

const without = await knock('without-rules');
await loadRules(hostRules());
await loadRules(hostRules());
const closed = await knock('closed');
await loadRules(openTunnelPort(7));
await loadRules(openTunnelPort(7));
const open = await knock('open');
const openPorts = await listSet(TUNNEL_PORTS);
const isClosed = isHostClosed(await listRules());
await loadRules(closeTunnelPort(7));
await loadRules(closeTunnelPort(7));
const closedAgain = await knock('closed-again');
const broken = await loadRules(`${openTunnelPort(9)}nonsense\n`).then(
  () => 'loaded',
  (error: { code: string }) => error.code,
);
const afterBroken = await listSet(TUNNEL_PORTS);
// What is asked from the inside is answered: the other end listens, this one calls.
const answer = run({
  file: 'ip',
  args: insideNamespace('far', [
    process.execPath,
    '-e',
    `require('net').createServer((s) => { s.end('hi'); process.exitCode = 0; }).listen(81, () => {
      setTimeout(() => process.exit(0), 1500); });`,
  ]),
});
await sleep(700);
const called = await import('node:net').then(
  async ({ connect }) =>
    new Promise<string>((resolve) => {
      const call = connect(81, '10.9.9.2');
      call.on('data', (bytes) => resolve(bytes.toString()));
      call.on('error', (error) => resolve(error.message));
    }),
);
await answer;
socket.close();
server.close();
console.log(
  JSON.stringify({
    without,
    closed,
    open,
    openPorts,
    isClosed,
    closedAgain,
    broken,
    afterBroken,
    called,
  }),
);
process.exit(0);
