import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Lab, openLab } from '../../boot/lab/lab.ts';
import { openBootServer } from '../../boot/serve/server.ts';
import { run } from '../../src/host/exec.ts';
import { listLinks, listNamespaces } from '../../src/host/net/ip.ts';
import { makeRelease } from '../support/release/release.ts';

/** Everything of a lab that can be seen from outside; other labs may be open on this machine. */
async function traces({ netns, folder }: Lab): Promise<string[]> {
  const number = netns.split('-').at(-1) ?? '';
  const own = new RegExp(`^(?:zos-lab-${number}(?:-.*)?|zoslab${number}|${number}\\.json)$`, 'u');
  const links = (await listLinks()).map(({ name }) => name);
  const claims = await readdir('/run/zos-lab').catch(() => []);
  const names = [...(await listNamespaces()), ...links, ...claims];
  return [...names.filter((name) => own.test(name)), ...((await isThere(folder)) ? [folder] : [])];
}

async function open(name: string): Promise<Lab> {
  return openLab({ name, accelerator: 'tcg' });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

test('two labs at once have networks of their own, and closed ones leave nothing', async () => {
  const labs: Lab[] = [];
  {
    await using one = await open('one');
    await using two = await open('two');
    expect(one.subnet).not.toBe(two.subnet);
    await one.addStranger('far');
    await one.startDhcp({ scriptUrl: 'http://192.0.2.1/boot.ipxe' });
    await one.startGuest({ name: 'guest', mac: '52:54:00:00:00:01', memoryMiB: 64 });
    const far = `${one.netns}-far`;
    const [link, claim] = [one.netns.replace(/-lab-/u, 'lab'), `${one.netns.slice(8)}.json`];
    expect((await traces(one)).toSorted()).toEqual(
      [one.netns, far, link, claim, one.folder].toSorted(),
    );
    labs.push(one, two);
  }
  for (const lab of labs) expect(await traces(lab)).toEqual([]);
});

test('labs that are opened in the same moment get different networks', async () => {
  await using stack = new AsyncDisposableStack();
  const labs = await Promise.all(['a', 'b', 'c', 'd'].map((name) => open(name)));
  for (const lab of labs) stack.use(lab);
  expect(new Set(labs.map(({ subnet }) => subnet)).size).toBe(4);
});

test('without root it says so in a sentence, and makes nothing', async () => {
  const holder = join(import.meta.dirname, 'lab-holder.ts');
  // Somebody without rights, but to read the repository wherever it is.
  const read = ['--inh-caps', '+dac_read_search', '--ambient-caps', '+dac_read_search'];
  const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', ...read];
  const args = [...nobody, process.execPath, holder];
  await expect(run({ file: 'setpriv', args })).rejects.toMatchObject({
    facts: { stderr: expect.stringContaining('which takes root; use sudo.') as string },
  });
});

test('dnsmasq runs as nobody, with three capabilities and no way to get more', async () => {
  await using lab = await open('nobody');
  await lab.startDhcp({ scriptUrl: 'http://192.0.2.1/boot.ipxe' });
  const [pid = ''] = (await run({ file: 'ip', args: ['netns', 'pids', lab.netns] })).split('\n');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'mu').exec(status)?.[1] ?? '';
  expect(field('Name')).toBe('dnsmasq');
  expect(field('Uid')).toBe(['65534', '65534', '65534', '65534'].join('\t'));
  // CAP_NET_BIND_SERVICE (10), CAP_NET_ADMIN (12), CAP_NET_RAW (13): capabilities(7).
  expect(Number.parseInt(field('CapEff'), 16)).toBe((1 << 10) | (1 << 12) | (1 << 13));
  expect(field('NoNewPrivs')).toBe('1');
});

test('a stranger on the wire reaches this machine, and a server on it', async () => {
  await using release = await makeRelease(Date.now());
  await using lab = await open('wire');
  await using server = await openBootServer({
    address: lab.address,
    releasePath: release.releasePath,
    farm: { grid: 'test', mirrors: [], farmer: null, tokens: [] },
  });
  const far = await lab.addStranger('far');
  const { port } = new URL(server.url);
  const scan = ['nmap', '-n', '-Pn', '-p', port, '--open', lab.address];
  const output = await run({ file: 'ip', args: ['netns', 'exec', far.netns, ...scan] });
  expect(output).toContain(`${port}/tcp open`);
});

test('a machine without anything asks for an address and gets one', async () => {
  await using lab = await open('dhcp');
  await lab.startDhcp({ scriptUrl: `http://${lab.address}:9/boot.ipxe` });
  const mac = '52:54:00:00:00:02';
  const guest = await lab.startGuest({ name: 'bare', mac, memoryMiB: 128 });
  await guest.waitFor(/Filename: http:\/\/10\.91\.\d+\.1:9\/boot\.ipxe/u, 60_000);
  const address = (await lab.addressOf(mac)) ?? '';
  expect(address.startsWith(lab.subnet.slice(0, -4))).toBe(true);
  expect(await lab.wireBytesTo('bare')).toBeGreaterThan(0);
  expect(await guest.qmp('query-status')).toMatchObject({ status: 'running' });
}, 300_000);

test('a lab whose owner was killed is gone: guests at once, the rest with the next lab', async () => {
  const holder = spawn(process.execPath, [join(import.meta.dirname, 'lab-holder.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(holder.stdout, 'data')) as [Buffer];
  const held = JSON.parse(line.toString()) as { netns: string; folder: string; guestPid: number };
  expect(await isThere(`/proc/${held.guestPid}`)).toBe(true);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  for (let tries = 0; tries < 600 && (await isThere(`/proc/${held.guestPid}`)); tries += 1) {
    await sleep(100);
  }
  expect(await isThere(`/proc/${held.guestPid}`)).toBe(false);
  expect(await listNamespaces()).toContain(held.netns);
  await using next = await open('next');
  expect(await isThere(held.folder)).toBe(false);
  expect((await listNamespaces()).filter((name) => name === held.netns)).toEqual(
    next.netns === held.netns ? [held.netns] : [],
  );
}, 300_000);
