import { once } from 'node:events';
import { chown, mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Lab, openLab } from '../../boot/lab/lab.ts';
import { openBootServer } from '../../boot/serve/server.ts';
import { findWire, openWireDhcp } from '../../boot/serve/wire.ts';
import { DNSMASQ_USER_ID, startDnsmasq } from '../../src/host/lab/dnsmasq.ts';
import { makeRelease, type TestRelease } from '../support/release/release.ts';

// The lab's end of the wire on this machine stands for the card that real servers are behind.
const SCRIPT = /Zero-OS from http:\/\/10\.91\.\d+\.1:\d+/u;
const DEADLINE_MS = 240_000;

function cardOf(lab: Lab): string {
  return lab.netns.replace('-lab-', 'lab');
}

async function serve(lab: Lab, release: TestRelease) {
  const { address } = await findWire(cardOf(lab));
  const farm = { grid: 'test', mirrors: [], farmer: null, tokens: [] };
  return openBootServer({ address, releasePath: release.releasePath, farm });
}

test('a server on the wire gets an address and boots our script', async () => {
  await using release = await makeRelease(Date.now());
  await using lab = await openLab({ name: 'own', accelerator: 'tcg' });
  await using server = await serve(lab, release);
  const { scriptUrl } = server;
  await using _dhcp = await openWireDhcp({
    interfaceName: cardOf(lab),
    isProxy: false,
    programs: { scriptUrl },
  });
  const guest = await lab.startGuest({ name: 'own', mac: '52:54:00:00:01:01', memoryMiB: 128 });
  const line = await guest.waitFor(SCRIPT, DEADLINE_MS);
  expect(line.text).toContain(server.url);
}, 120_000);

test('firmware without iPXE finds one over TFTP, and that one boots our script', async () => {
  await using lab = await openLab({ name: 'tftp', accelerator: 'tcg' });
  // The first to ask is told to load what firmware would; the second is what was loaded.
  const scripts = [`#!ipxe\nchain tftp://${lab.address}/undionly.kpxe\n`, '#!ipxe\necho loaded\n'];
  const server = createServer((_, response) => response.end(scripts.shift()));
  server.listen(0, lab.address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const scriptUrl = `http://${lab.address}:${port}/boot.ipxe`;
  await using _dhcp = await openWireDhcp({
    interfaceName: cardOf(lab),
    isProxy: false,
    programs: { scriptUrl },
  });
  const guest = await lab.startGuest({ name: 'tftp', mac: '52:54:00:00:01:03', memoryMiB: 128 });
  const line = await guest.waitFor(/^loaded/u, DEADLINE_MS);
  const before = guest.lines.slice(0, guest.lines.indexOf(line)).map(({ text }) => text);
  expect(before.filter((text) => text.includes('undionly.kpxe... ok')).length).toBe(1);
  server.close();
}, 120_000);

test('beside another DHCP server only the way to boot is answered', async () => {
  await using release = await makeRelease(Date.now());
  await using lab = await openLab({ name: 'proxy', accelerator: 'tcg' });
  const folder = join(lab.folder, 'others');
  await mkdir(folder);
  await chown(folder, DNSMASQ_USER_ID, DNSMASQ_USER_ID);
  const prefix = lab.subnet.slice(0, -5);
  await using _other = startDnsmasq({
    netns: lab.netns,
    link: 'wire',
    folder,
    addresses: { from: `${prefix}.50`, to: `${prefix}.60` },
  });
  await using server = await serve(lab, release);
  const { scriptUrl } = server;
  await using _dhcp = await openWireDhcp({
    interfaceName: cardOf(lab),
    isProxy: true,
    programs: { scriptUrl },
  });
  const guest = await lab.startGuest({ name: 'proxy', mac: '52:54:00:00:01:02', memoryMiB: 128 });
  await guest.waitFor(SCRIPT, DEADLINE_MS);
  const text = guest.lines.map((line) => line.text).join('\n');
  expect(text).toMatch(new RegExp(`net0: ${prefix.replaceAll('.', '\\.')}\\.(?:5\\d|60)/`, 'u'));
}, 120_000);

test('a card that is not there, and one without an address, are said in a sentence', async () => {
  await expect(findWire('eth99')).rejects.toThrow('There is no network card eth99; there are ');
  await using lab = await openLab({ name: 'wires', accelerator: 'tcg' });
  expect(await findWire(cardOf(lab))).toEqual({ address: lab.address, subnet: lab.subnet });
});
