import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { tellQemu } from '../../src/host/lab/qemu.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { runInGuest } from '../support/guest/guest.ts';
import { filesOfProgram } from '../support/wire/host-program.ts';
import { macOf, WIRES } from '../support/wire/guest/router.ts';

// One machine with ten cards: five are the node's, five a router's and switch's in namespaces of
// the same released kernel, joined by wires that QEMU can cut.
const ROOT = join(import.meta.dirname, '../..');
let found: Record<string, Record<string, unknown>> = {};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-wires-'));
  const qmpPath = join(folder, 'qmp');
  // The node's cards in another order than their wires.
  const cards = (['node', 'router'] as const).flatMap((end) =>
    WIRES.map((wire, hub) => ({ hub, mac: macOf(wire, end) })).toReversed(),
  );
  const cable = (line: string): void => {
    const [, how, wire] = /cable (pull|put) (\w+)/u.exec(line) ?? [];
    if (wire === undefined) return;
    const at = cards.findIndex(({ mac }) => mac === macOf(wire as (typeof WIRES)[number], 'node'));
    void tellQemu(qmpPath, 'set_link', { name: `net${at}`, up: how === 'put' });
  };
  try {
    const script = join(ROOT, 'test/support/wire/guest/network.ts');
    const machine = { cards, qmpPath };
    const guest = {
      root: ROOT,
      folder,
      script,
      machine,
      files: await filesOfProgram('/usr/sbin/dnsmasq'),
    };
    const wish = { ...guest, deadlineMs: 12 * MINUTE_MS, onLine: cable };
    found = (await runInGuest(wish)) as typeof found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 14 * MINUTE_MS);

test('the script ran to its end, and no step was refused by the kernel', () => {
  expect(found['error']).toBeUndefined();
  expect(found['failures']).toEqual([]);
});

test('cards are found by their own addresses, and get theirs by DHCP, IPv6 and the farmer', () => {
  expect(found['first']).toMatchObject({
    nameServers: expect.arrayContaining(['10.1.0.1', 'fd04::1']) as string[],
    mtuBytes: 1400,
    four: 'page by name',
    resolver: expect.stringMatching(/^nameserver (?:10\.1\.0\.1|fd04::1)$/u) as string,
  });
});

test('a cable that is pulled is named; with IPv6 alone names are found; put back, all is back', () => {
  expect(found['cable']).toMatchObject({ six: 'page by name', nameServers: ['fd04::1'] });
});

test('a lease is renewed, and a client that is killed is started again', () => {
  expect(found['client']).toMatchObject({ isRenewed: true, isThere: true });
});

test('a small MTU on the way that nobody tells of holds nothing up', () => {
  expect(found['hole']).toEqual({ answer: 'page 10.9.0.2:8080 300000' });
});

test('where only a proxy can be reached, all goes through it', () => {
  expect(found['proxy']).toMatchObject({
    through: 'page mirror.example:8080 0',
    asked: expect.stringContaining('GET http://mirror.example:8080/through') as string,
  });
});

test('a switch that bundles after 70 s is waited for by name; then two VLANs, and one cable less', () => {
  expect(found['bundle']).toMatchObject({
    waited: true,
    both: 'page of a VLAN',
    one: 'page of a VLAN',
  });
});
