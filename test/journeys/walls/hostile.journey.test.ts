import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, openLab } from '../../../boot/lab/lab.ts';
import { KERNEL_ARGUMENTS } from '../../../src/artifact/command-line.ts';
import { start } from '../../../src/host/exec.ts';
import { EXCEPTIONS, LOCKDOWN, SETTINGS } from '../../../src/host/kernel/settings.ts';
import { runIp } from '../../../src/host/net/ip.ts';
import { MiB, MINUTE_MS } from '../../../src/lib/units.ts';
import { readResult, RESULT_MARK } from '../../support/guest/mark.ts';
import { tableOf, type Tries } from '../../support/hostile/table.ts';
import { makeHostileImage, prefixesOf, startWireGuest } from '../../support/walls/wire.ts';

// One machine on a farmer's LAN: a hostile tenant's containers beside another tenant's.
const ROOT = join(import.meta.dirname, '../../..');
const LAN_PORT = '7';
const METADATA = '169.254.169.254';
const MAC = '52:54:00:0b:ad:01';

type Neighbours = {
  readonly neighbours: readonly Record<string, unknown>[];
  readonly available: number;
};
type Found = {
  readonly error?: string;
  readonly hardening: {
    readonly soft: readonly string[];
    readonly again: readonly string[];
    readonly settings: Readonly<Record<string, string>>;
    readonly exceptions: Readonly<Record<string, string>>;
    readonly weaker: Readonly<Record<string, string>>;
    readonly lockdown: string;
    readonly arguments: readonly string[];
  };
  readonly tries: Tries & { readonly names: Readonly<Record<string, string>> };
  readonly harm: Readonly<Record<'bomb' | 'hog', Record<string, unknown>>> & {
    readonly before: Neighbours;
    readonly after: Neighbours;
  };
};

let lab: Lab;
let found: Found;
/** What the wire carried from the node while the container tried; who reached the LAN's machine. */
const onWire: string[] = [];
const asked: string[] = [];

beforeAll(async () => {
  lab = await openLab({ name: 'walls', accelerator: 'tcg' });
  const inside = ['netns', 'exec', lab.netns];
  await runIp([`address add ${METADATA}/32 dev wire`], { netns: lab.netns });
  const lanScript = join(ROOT, 'test/support/walls/lan.ts');
  await using lan = start({
    file: 'ip',
    args: [...inside, process.execPath, lanScript],
    onLine: (line) => asked.push(line),
  });
  const image = await makeHostileImage(ROOT, lab.folder);
  const wire = join(lab.folder, 'wire.json');
  const { prefix, prefix6 } = prefixesOf(lab);
  await writeFile(wire, JSON.stringify({ prefix, prefix6, lanPort: LAN_PORT }));
  const guest = await startWireGuest(lab, {
    root: ROOT,
    script: join(ROOT, 'test/support/walls/hostile.ts'),
    mac: MAC,
    files: { 'hostile.erofs': image, 'wire.json': wire },
  });
  await guest.waitFor(/walls: hostile/u, 8 * MINUTE_MS);
  const capture = ['tcpdump', '-nn', '-l', '-i', 'wire', 'ether', 'src', MAC];
  const tcpdump = start({
    file: 'ip',
    args: [...inside, ...capture],
    onLine: (line) => onWire.push(line),
  });
  await guest.waitFor(/walls: tried/u, 8 * MINUTE_MS);
  asked.push('tried');
  await tcpdump.stop();
  await guest.waitFor(new RegExp(RESULT_MARK, 'u'), 8 * MINUTE_MS);
  found = readResult(guest.lines.map(({ text }) => text)) as Found;
  await lan.stop();
}, 30 * MINUTE_MS);

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

test('the script ran to its end', () => {
  expect(found.error).toBeUndefined();
  expect(found.tries.isTried).toBe(true);
});

test('the kernel is hardened as the table has it, and each exception is as it says', () => {
  const { soft, again, settings, exceptions, lockdown, arguments: given } = found.hardening;
  // What a kernel has that nobody told anything; what it says after it was told, and told twice.
  expect(soft.length).toBeGreaterThan(20);
  expect(again).toEqual([]);
  expect(settings).toEqual(Object.fromEntries(SETTINGS.map(({ path, value }) => [path, value])));
  expect(lockdown).toBe(LOCKDOWN);
  expect(given).toEqual(expect.arrayContaining([...KERNEL_ARGUMENTS]));
  for (const { is } of EXCEPTIONS) {
    if ('path' in is) expect(exceptions[is.path]).toBe(is.value);
    else expect(given.some((argument) => argument.includes(is.lacks))).toBe(false);
  }
  for (const { why } of [...SETTINGS, ...EXCEPTIONS]) expect(why).toMatch(/\w+ \w+/u);
});

test('what was hardened stays so: root itself can’t take it back', () => {
  expect(found.hardening.weaker).toEqual({
    'kernel/yama/ptrace_scope': 'EINVAL',
    'kernel/unprivileged_bpf_disabled': 'EPERM',
    'kernel/usermodehelper/bset': 'done, and is still 0 0',
    '/sys/kernel/security/lockdown': 'EPERM',
  });
});

test('a hostile container: each try and its refusal, in 64-bit and 32-bit calls', async () => {
  const { prefix, prefix6 } = prefixesOf(lab);
  const names = { ...found.tries.names, [prefix6]: 'lan6', [prefix]: 'lan' };
  const table = tableOf(found.tries, names);
  await expect(table).toMatchFileSnapshot('../../golden/walls/hostile.txt');
});

test('what a hostile container may do is what every program does, and nothing else', () => {
  const done = Object.entries(found.tries.fromContainer).flatMap(([name, answer]) =>
    answer === 'done' ? [name] : [],
  );
  expect(done).toEqual([
    'getpid',
    '/proc/self/status (read)',
    '/tmp/own (write)',
    // A neighbour of the same tenant, in the same network.
    expect.stringMatching(/^TCP fd5e:[0-9a-f:]+ 80$/u),
  ]);
});

test('no packet of the container is on the farmer’s LAN, where the node itself gets answers', () => {
  const before = asked.slice(0, asked.indexOf('tried'));
  expect(before).toEqual(['listens']);
  expect(asked.length).toBeGreaterThan(before.length + 1);
  // The node's own kernel: its neighbours' addresses, its routers, its memberships.
  const own = /ARP|ICMP6, (?:neighbor|router) (?:solicitation|advertisement)|multicast listener/u;
  const packets = onWire.filter((line) => /^\d\d:\d\d/u.test(line));
  expect(packets.filter((line) => !own.test(line))).toEqual([]);
});

test('a fork bomb and a memory hog hurt only themselves', () => {
  const { bomb, hog, before, after } = found.harm;
  const survived = { isAtLimit: true, isAnswering: true, canRun: true, isRemoved: true };
  expect(bomb).toMatchObject(survived);
  expect(Number(bomb['pids'])).toBeLessThanOrEqual(64);
  expect(hog).toMatchObject({ ...survived, because: 'out-of-memory' });
  // The same processes of both tenants, started when they were, none of them short of memory.
  expect(after.neighbours).toEqual(before.neighbours);
  expect(after.neighbours.map((each) => each['oomKills'])).toEqual([0, 0, 0]);
  expect(after.available).toBeGreaterThan(before.available - 32 * MiB);
});
