import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBot } from '../../../boot/grid/bot.ts';
import { type Grid, openGrid } from '../../../boot/grid/grid.ts';
import { buildEnvironment } from '../../../boot/grid/release.ts';
import type { Guest } from '../../../boot/lab/guest.ts';
import { run } from '../../../src/host/exec.ts';
import { fetchBytes } from '../../../src/host/http.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import { MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { lineAfter } from '../../support/grid.ts';
import { pixelsOf } from '../../support/screen/picture.ts';

// A machine that nobody gave a token, with a disk that has somebody's files on it: its farmer takes
// it in by what its display shows, asks it all that can be asked, and lets it have the disk.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 15 * MINUTE_MS;
const KEYS = [['x'], ['alt', 'f2'], ['shift', 'pgup'], ['scroll_lock'], ['ctrl', 's']];
const RESTARTS = [
  ['ctrl', 'alt', 'delete'],
  ['alt', 'sysrq', 'b'],
];

let folder: string;
let grid: Grid;
let guest: Guest;
let code = '';
let id = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-approve-'));
  grid = await openGrid({
    root: ROOT,
    name: 'approve',
    nodes: 0,
    mayJoin: 1,
    memoryMiB: 1024,
    folder: join(folder, 'grid'),
    hasOwnRelease: true,
    env: buildEnvironment(process.env),
    onEvent: ({ subject, state, text }) => console.log(`${subject}: ${state}: ${text}`),
    signal: AbortSignal.timeout(BOOT_MS),
  });
  // The one token there is goes to a machine that never comes.
  await fetchBytes({ url: `${grid.bootServer.url}/farm.json?mac=52-54-00-5a-0f-0f` });
  const mac = '52:54:00:5a:00:01';
  const diskPath = await grid.lab.makeDisk('somebodys', 300);
  await run({ file: 'mke2fs', args: ['-q', '-t', 'ext4', '-L', 'somebodys', diskPath] });
  const machine = { name: 'node1', mac, memoryMiB: 1024, diskPath, hasDisplay: true };
  guest = await grid.lab.startGuest(machine);
  await guest.waitFor(/^zos: agent waits for its farmer$/u, BOOT_MS);
}, BOOT_MS);

afterAll(async () => {
  await grid?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, STEP_MS / 4);

async function picture(name: string): Promise<Buffer> {
  const path = join(folder, `${name}.png`);
  await guest.qmp('screendump', { filename: path, format: 'png' });
  return pixelsOf(await readFile(path)).bytes;
}

/** What a phone reads off the display. */
async function codeOnDisplay(): Promise<string> {
  await picture('code');
  const args = ['--quiet', '--raw', '--nodbus', join(folder, 'code.png')];
  return (await run({ file: 'zbarimg', args })).trim();
}

test(
  'the code on the display of a node that waits opens its page, with the one command',
  async () => {
    // The frame that shows it comes with the next look.
    await sleep(2 * SECOND_MS);
    code = await codeOnDisplay();
    expect(code).toMatch(/^HTTP:\/\/[\d.]+:8080\/N\/[0-9A-F]{20}$/u);
    const page = textOf(await fetchBytes({ url: code }));
    id = /<pre>zos farm approve ([0-9a-f]{64})<\/pre>/u.exec(page)?.[1] ?? '';
    expect(id.slice(0, 20).toUpperCase()).toBe(code.slice(-20));
  },
  STEP_MS,
);

test(
  'no key changes the display, and none restarts the machine',
  async () => {
    const before = await picture('before');
    for (const keys of [...KEYS, ...RESTARTS]) {
      await guest.qmp('send-key', { keys: keys.map((key) => ({ type: 'qcode', data: key })) });
    }
    await sleep(3 * SECOND_MS);
    expect(await codeOnDisplay()).toBe(code);
    const after = await picture('after');
    // All but the rows that say how long it is up and waits: the QR code, the id, the capacity.
    const changed = before.filter((byte, at) => byte !== after[at]).length;
    expect(changed / before.length).toBeLessThan(0.02);
    expect(guest.lines.some(({ text }) => text.includes('zos: init restarting'))).toBe(false);
  },
  STEP_MS,
);

test(
  'its farmer approves it by what the display shows, and then it is ready',
  async () => {
    const told = await grid.bot.zos({ args: ['farm', 'approve', code.slice(-20)] });
    expect(told).toMatch(/^Node [0-9a-f]{10} is of farm farm now: \d+ cores, /u);
    await guest.waitFor(
      /^zos: agent registered node=[0-9a-f]{64} farm=[0-9a-f]{64}$/u,
      STEP_MS / 4,
    );
    await guest.waitFor(/^ READY/u, STEP_MS / 4);
    const page = textOf(await fetchBytes({ url: code }));
    expect(page).toContain('This node has joined its farm');
  },
  STEP_MS,
);

const LOOKS: readonly (readonly [string, string | undefined, RegExp])[] = [
  ['clock', undefined, /^\d{4}-\d\d-\d\dT[\d:.]+Z, right, by the directory’s signed word; /mu],
  ['disks', undefined, /^\/dev\/vda: .*serial zos-disk-0, 300\.0 MiB, .*can be written, ext4$/mu],
  ['kernel-log', undefined, /^\[ +\d+\.\d{3}\] \S/mu],
  ['links', undefined, /link\/ether 52:54:00:5a:00:01 [^]*inet \d/u],
  ['name', 'directory.invalid', /IPv4: \S+ \(\d+ ms\)|was told of no name server/u],
  ['packets', undefined, /^(?:IP|ARP)/mu],
  ['reach', 'directory', / port \d+: reached [\d.]+ \(\d+ ms\)$/mu],
  ['route', '192.0.2.1', /192\.0\.2\.1|unreachable/u],
];

test.each(LOOKS)(
  'its farmer asks for %s and reads the answer',
  async (what, about, answer) => {
    const { host } = new URL(grid.directory.url);
    const args = about === undefined ? [] : [about === 'directory' ? host : about];
    expect(await grid.bot.zos({ args: ['node', 'ask', id, what, ...args] })).toMatch(answer);
  },
  STEP_MS,
);

test(
  'somebody else who asks is refused aloud and learns nothing',
  async () => {
    const home = join(folder, 'stranger');
    const stranger = openBot({ root: ROOT, home, directoryUrl: grid.directory.url });
    await stranger.zos({ args: ['identity', 'new', '--name', 'stranger'] });
    const asking = new AbortController();
    const args = ['node', 'ask', id, 'links'];
    const answer = stranger.zos({ args, signal: asking.signal }).catch(() => 'nothing');
    await guest.waitFor(/refused question: ASKER_FOREIGN/u, STEP_MS / 4);
    asking.abort();
    expect(await answer).toBe('nothing');
  },
  STEP_MS,
);

test(
  'a disk with somebody’s files is left alone, until its farmer signs a word that names it',
  async () => {
    const refusal = grid.bot.zos({ args: ['farm', 'disk', 'wipe', id, 'another'] });
    await expect(refusal).rejects.toThrow(/it says it has: zos-disk-0/u);
    const from = guest.lines.length;
    const since = (pattern: RegExp) =>
      lineAfter(guest.lines, { from, pattern, deadlineMs: STEP_MS / 4 });
    await grid.bot.zos({ args: ['farm', 'disk', 'take', id, 'zos-disk-0'] });
    await since(/consent to take disk zos-disk-0 waits: /u);
    await grid.bot.zos({ args: ['farm', 'disk', 'wipe', id, 'zos-disk-0'] });
    await since(/disk zos-disk-0 \(\/dev\/vda\) wiped and taken/u);
    await since(/zos: agent data-disk \/dev\/vda/u);
    // The identity that it had made in memory goes with it onto the disk.
    await since(new RegExp(`zos: agent registered node=${id} `, 'u'));
  },
  STEP_MS,
);
