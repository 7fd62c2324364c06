import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTpm, startTpm } from '../../src/host/lab/swtpm.ts';
import { fromHex, sha256Hex, toBase64, utf8 } from '../../src/lib/bytes.ts';
import { GiB, MiB, MINUTE_MS } from '../../src/lib/units.ts';
import { countOnDisk } from '../support/guest/search.ts';
import { runInGuest } from '../support/guest/guest.ts';

// Volumes on the released kernel with the released tools: a machine with a TPM, run twice with the
// same disk, as if its power was cut in between; after each run the disk is pulled and searched.
const ROOT = join(import.meta.dirname, '../..');
type Found = Record<string, unknown>;
type Opened = { made?: { what: string }; opened?: { what: string }; before?: string; log: string };

let folder = '';
let first: Found = {};
let second: Found = {};
/** How often each thing stands on the disk, after the first run and after the second. */
let pulled: Record<string, number> = {};
let erased: Record<string, number> = {};

const MARK = sha256Hex(utf8('a marker that a tenant wrote'));
const CLEAR = sha256Hex(utf8('a marker in clear, which has to be found'));
const FORMATS = ['ext4', 'xfs', 'btrfs'] as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-volumes-'));
  const disk = join(folder, 'disk.img');
  {
    await using file = await open(disk, 'w');
    await file.truncate(2 * GiB);
  }
  const tpm = join(folder, 'tpm');
  await makeTpm(tpm, { folder: join(folder, 'maker') });
  first = await boot(disk, tpm);
  pulled = await countOnDisk(disk, searched(first));
  second = await boot(disk, tpm);
  erased = await countOnDisk(disk, searched(first));
}, 26 * MINUTE_MS);

afterAll(async () => rm(folder, { recursive: true, force: true }));

async function boot(disk: string, tpm: string): Promise<Found> {
  const tpmSocketPath = join(folder, 'tpm.sock');
  await using _tpm = await startTpm(tpm, tpmSocketPath);
  return (await runInGuest({
    root: ROOT,
    folder,
    script: join(ROOT, 'test/support/guest/volumes.ts'),
    deadlineMs: 12 * MINUTE_MS,
    diskPaths: [disk],
    machine: { tpmSocketPath },
  })) as Found;
}

/** Bytes by what they are; a secret as it is, in hex and in base64. */
function searched({ seeds, secret }: Found): Readonly<Record<string, Uint8Array>> {
  const named: Record<string, Uint8Array> = {
    clear: utf8(CLEAR),
    marker: utf8(MARK),
    header: Uint8Array.from([...utf8('LUKS'), 0xba, 0xbe]),
  };
  const hidden = [...(seeds as string[]).map((seed) => fromHex(seed)), utf8(String(secret))];
  for (const [at, bytes = new Uint8Array()] of hidden.entries()) {
    named[`hidden ${at} as it is`] = bytes;
    named[`hidden ${at} in hex`] = utf8(Buffer.from(bytes).toString('hex'));
    // Without what depends on the bytes before and behind.
    named[`hidden ${at} in base64`] = utf8(toBase64(bytes.subarray(0, 30)).slice(0, 40));
  }
  return named;
}

function hiddenIn(counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts).flatMap(([name, count]) =>
    /^hidden|^marker/u.test(name) && count > 0 ? [name] : [],
  );
}

test('both scripts ran to their end, on a hardened kernel with everything they need', () => {
  expect(first['error']).toBeUndefined();
  expect(second['error']).toBeUndefined();
  expect(first).toMatchObject({ failed: [], soft: [], isNew: true, isSealed: true });
  expect(second).toMatchObject({ isNew: false, isSealed: true, id: first['id'] });
});

test('each file system belongs to the container’s user, and is full when its length is', () => {
  for (const format of FORMATS) {
    const { made, log } = first[format] as Opened;
    expect(made?.what).toBe('none');
    expect(log).toMatch(/^d.* 1000 +1000 .* \.$/mu);
    expect(log).toMatch(/^-rw.* 1000 +1000 +65 .* mark$/mu);
    expect(log).toContain('No space left on device');
  }
  const { filled } = first['quota'] as { filled: string };
  expect(filled).toContain('No space left on device');
  const [, written] = / 1000 +1000 +(\d+) .* fill$/mu.exec(filled) ?? [];
  expect(Number(written)).toBeGreaterThan(48 * MiB);
  expect(Number(written)).toBeLessThan(64 * MiB);
});

test('a volume takes of the disk what is in it, and gives back what was deleted', () => {
  const { takenAfter } = first['quota'] as { takenAfter: number };
  expect((first['ext4'] as { takenAtFirst: number }).takenAtFirst).toBeLessThan(8 * MiB);
  expect(takenAfter).toBeLessThan(16 * MiB);
});

test('a raw one is a block device of the container’s user, as long as was asked for', () => {
  expect((first['raw'] as Opened).log).toMatch(/^brw-rw---- +1 1000 +1000 .*\/dev\/vol$/mu);
  expect((first['raw'] as Opened).log).toContain('No space left on device');
});

test('a disk that is pulled has no marker, no node key and no secret on it', () => {
  expect(first['isSecretThere']).toBe(true);
  // What is in clear is found: the search can see.
  expect(pulled['clear']).toBeGreaterThan(0);
  expect(pulled['header']).toBeGreaterThanOrEqual(4);
  expect(hiddenIn(pulled)).toEqual([]);
});

test('after the power came back every volume holds what was written, under its key alone', () => {
  expect(String(second['otherKey'])).toMatch(/^VOLUME_KEY_OTHER: The key does not open volume/u);
  for (const format of [...FORMATS, 'raw']) {
    const { before, opened, log } = second[format] as Opened;
    expect([format, before, opened?.what]).toEqual([format, 'closed', 'none']);
    expect(log).toContain(MARK);
  }
});

test('a volume grows in place and never shrinks, changes or moves to another contract', () => {
  const grown = second['grown'] as { because: string; now: { what: string }; log: string }[];
  for (const { because, now, log } of grown) {
    expect([because, now.what]).toEqual(['shorter', 'none']);
    expect(log).toContain(MARK);
  }
  expect(grown.at(-1)?.log).toContain(String(96 * MiB));
  expect(second['refused']).toMatchObject({
    shrunk: expect.stringContaining('it has 128.0 MiB and never shrinks to 32.0 MiB') as string,
    format: expect.stringContaining('it is ext4 on ssd, and stays so') as string,
    contract: expect.stringContaining('it belongs to another contract') as string,
    room: expect.stringMatching(/^VOLUME_NO_ROOM: It takes 64\.0 GiB and there is room/u) as string,
  });
});

test('one that was cut off while it was made is made anew, one with a broken label is left', () => {
  expect(second['half']).toEqual({
    because: 'half-made',
    again: 'none',
    broken: 'VOLUME_REFUSED: The volume stays as it is: its label can’t be read.',
    mended: 'none',
  });
});

test('an erased volume leaves no header that a key could open, and its room is back', () => {
  expect(second['erased']).toEqual({
    removed: 5,
    isRoomBack: true,
    left: [],
    devices: [],
    loops: [],
    mounts: [],
  });
  expect(erased['clear']).toBeGreaterThan(0);
  expect(erased['header']).toBe(0);
  expect(hiddenIn(erased)).toEqual([]);
});
