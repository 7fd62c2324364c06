// Runs in namespaces of its own; see `runInside`.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { callCards, magicPacket } from '../../../../src/host/reset/wake.ts';
import { runIp } from '../../../../src/host/net/ip.ts';
import { toHex } from '../../../../src/lib/bytes.ts';

const MAC = '52:54:00:5a:00:02';

await runIp([
  'netns add neighbour',
  'link add dev eth0 type veth peer name one netns neighbour',
  'link add dev eth1 type veth peer name two netns neighbour',
  'address add 10.9.8.1/24 dev eth0',
  'address add 10.9.9.1/24 dev eth1',
  'link set dev eth0 up',
  'link set dev eth1 up',
]);
await runIp(['link set dev one up', 'link set dev two up'], { netns: 'neighbour' });
// Until the links know that their own addresses are nobody else's.
await sleep(3000);
const texts: Record<string, string> = {};
const listeners = ['one', 'two'].map((link) => {
  const args = [
    'netns',
    'exec',
    'neighbour',
    'tcpdump',
    '-nn',
    '-l',
    '-x',
    '-i',
    link,
    'port',
    '9',
  ];
  const listener = spawn('ip', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  listener.stdout.on('data', (part: Buffer) => {
    texts[link] = (texts[link] ?? '') + part.toString();
  });
  return listener;
});
await sleep(1500);
const wires = await callCards([MAC]);
await sleep(1500);
for (const listener of listeners) listener.kill();
const wanted = toHex(magicPacket(MAC));
const frames = Object.fromEntries(
  ['one', 'two'].map((link) => {
    const bytes = (texts[link] ?? '').replaceAll(/^\s+0x[0-9a-f]+:|[^0-9a-f]/gmu, '');
    return [link, bytes.split(wanted).length - 1];
  }),
);
console.log(JSON.stringify({ wires, frames }));
