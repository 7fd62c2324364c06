import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkCommandLine, KERNEL_ARGUMENTS } from '../../src/artifact/command-line.ts';
import { decodeFloor, encodeFloor, FLOOR_BYTES } from '../../src/artifact/release/floor.ts';
import { verifyMetadata } from '../../src/artifact/release/metadata.ts';
import {
  type BootMedia,
  type BootRecord,
  parseBootMedia,
  parseBootRecord,
  parseGridFile,
} from '../../src/artifact/spec.ts';
import { parseLease } from '../../src/host/net/dhcp.ts';
import { parseAnswer } from '../../src/host/net/sntp.ts';
import { utf8 } from '../../src/lib/bytes.ts';
import { ZosError } from '../../src/lib/errors.ts';
import { fuzz } from '../support/fuzz.ts';
import { makeRelease, writeNextRoot } from '../support/release/release.ts';
import { SHARES } from './shares.ts';

const SHA256 = 'ab'.repeat(32);
const VERSIONS = { root: 1, timestamp: 2, snapshot: 3, targets: 4 };

const MEDIA: BootMedia = {
  grid: 'test',
  mirrors: ['http://10.0.0.1:8080', 'https://boot.example/zos'],
  token: null,
  farmer: null,
};
const RECORD: BootRecord = {
  release: 'zero-os 1',
  stages: [{ stage: 'started', sinceKernelStartMs: 12 }],
  mirror: 'http://10.0.0.1:8080',
  systemSha256: SHA256,
  rootSha256: SHA256,
  kernel: SHA256,
  wireBytes: 1,
  reusedBytes: 2,
  versions: VERSIONS,
  loader: 'local',
  media: 'local sda',
  refusals: [{ artifact: 'grid.json', code: 'EXPIRED', sentence: 'It is old.', mirror: null }],
};

const FILES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
type File = (typeof FILES)[number];

/** A release's metadata from memory, one file of it replaced. */
async function openMetadata() {
  await using release = await makeRelease(Date.now());
  await writeNextRoot(release);
  const read = async (name: string): Promise<Uint8Array> =>
    new Uint8Array(await readFile(join(release.releasePath, `metadata/${name}.json`)));
  const good: Record<File, Uint8Array> = {
    root: await read('2.root'),
    timestamp: await read('timestamp'),
    snapshot: await read('snapshot'),
    targets: await read('targets'),
  };
  const verify = (file: File, bytes: Uint8Array): void => {
    const { root, ...chain } = { ...good, [file]: bytes };
    const found = verifyMetadata(release.root, { roots: [root], ...chain });
    for (const name of found.names) found.target(name);
  };
  return { good, verify };
}

test.each(FILES)('%s.json', async (file) => {
  const { good, verify } = await openMetadata();
  const parse = (bytes: Uint8Array): void => verify(file, bytes);
  const cases = SHARES.metadata / FILES.length;
  expect(await fuzz({ name: file, cases, seeds: [good[file]], parse })).toBeGreaterThan(0);
});

const KINDS: readonly unknown[] = [null, true, 0, -1, 1e308, '', '\u0000', [], {}, [[]], { a: {} }];

/** Copies of a document in which one value is of another kind, or one key is gone. */
function* misshapen(document: unknown): Generator {
  for (const kind of KINDS) yield kind;
  if (typeof document !== 'object' || document === null) return;
  for (const [key, value] of Object.entries(document)) {
    for (const other of misshapen(value)) {
      yield Array.isArray(document)
        ? document.with(Number(key), other)
        : { ...document, [key]: other };
    }
    const { [key]: _, ...rest } = document as Record<string, unknown>;
    if (!Array.isArray(document)) yield rest;
  }
}

test.each(FILES)('%s.json with a value of another kind, whichever, is refused', async (file) => {
  const { good, verify } = await openMetadata();
  const document: unknown = JSON.parse(Buffer.from(good[file]).toString());
  let cases = 0;
  for (const other of misshapen(document)) {
    cases += 1;
    let found: unknown;
    try {
      verify(file, utf8(JSON.stringify(other)));
    } catch (error) {
      found = error;
    }
    expect(found).toBeInstanceOf(ZosError);
  }
  expect(cases).toBeGreaterThan(100);
});

test('farm.json', async () => {
  const seeds = [utf8(JSON.stringify(MEDIA))];
  expect(
    await fuzz({ name: 'farm.json', cases: SHARES.farmFile, seeds, parse: parseBootMedia }),
  ).toBeGreaterThan(0);
});

test('grid.json', async () => {
  const directory = { urls: ['http://10.0.0.1:8080'], identity: SHA256 };
  const record = { policy: 'quorum none\n' };
  const seeds = [utf8(JSON.stringify({ grid: 'test', directory, record }))];
  expect(
    await fuzz({ name: 'grid.json', cases: SHARES.gridFile, seeds, parse: parseGridFile }),
  ).toBeGreaterThan(0);
});

test('boot.json', async () => {
  const seeds = [utf8(JSON.stringify(RECORD))];
  expect(
    await fuzz({ name: 'boot.json', cases: SHARES.bootRecord, seeds, parse: parseBootRecord }),
  ).toBeGreaterThan(0);
});

test('a kernel command line: what is taken is ours, word by word', async () => {
  const line = ['BOOT_IMAGE=/vmlinuz', ...KERNEL_ARGUMENTS, 'zos.loader=local'].join(' ');
  // The kernel's name alone is how iPXE begins: what is left when the head of GRUB's goes.
  const ours = new Set([...line.split(' ').slice(1), 'vmlinuz']);
  const parse = (bytes: Uint8Array): void => {
    const text = Buffer.from(bytes).toString('latin1');
    checkCommandLine(text);
    const words = text.replace(/\n$/u, '').split(' ');
    const others = words.filter((word) => word !== '' && !word.startsWith('BOOT_IMAGE='));
    for (const word of others) if (!ours.has(word)) throw new Error(`took ${word}`);
  };
  expect(
    await fuzz({ name: 'command line', cases: SHARES.commandLine, seeds: [utf8(line)], parse }),
  ).toBeGreaterThan(0);
});

test('a floor on a disk: what is read is what was written', async () => {
  const floor = { versions: VERSIONS, rootSha256: SHA256 };
  const good = encodeFloor(floor);
  const parse = (bytes: Uint8Array): void => {
    const found = decodeFloor(bytes.subarray(0, FLOOR_BYTES));
    if (found !== undefined) expect(found).toEqual(floor);
  };
  await fuzz({ name: 'floor', cases: SHARES.floor, seeds: [good], parse });
  expect(decodeFloor(good)).toEqual(floor);
});

test('the options of DHCP', async () => {
  const message = Buffer.alloc(240);
  message.writeUInt32BE(0x63825363, 236);
  const options = [3, 4, 10, 0, 0, 1, 6, 8, 1, 1, 1, 1, 9, 9, 9, 9, 42, 4, 10, 0, 0, 2];
  const url = Buffer.from('http://10.0.0.1:8081/zos.efi');
  const rest = Buffer.from([51, 4, 0, 0, 14, 16, 52, 1, 3, 54, 4, 10, 0, 0, 1, 67, url.length]);
  const good = Buffer.concat([message, Buffer.from(options), rest, url, Buffer.from([255])]);
  const parse = (bytes: Uint8Array): void => {
    const lease = parseLease('eth0', bytes);
    if (lease === undefined) return;
    const told = [...lease.nameServers, ...lease.timeServers, lease.address];
    for (const address of told) expect(address).toMatch(/^(?:\d{1,3}\.){3}\d{1,3}$/u);
  };
  await fuzz({ name: 'DHCP', cases: SHARES.dhcp, seeds: [new Uint8Array(good)], parse });
  expect(parseLease('eth0', good)).toMatchObject({ router: '10.0.0.1', timeServers: ['10.0.0.2'] });
});

test('the answer of a time server', async () => {
  const mark = new Uint8Array(8).fill(7);
  const answer = Buffer.alloc(48);
  answer.set([0x24, 2]);
  answer.set(mark, 24);
  answer.writeUInt32BE(3_972_672_000, 40);
  const parse = (bytes: Uint8Array): void => {
    const nowMs = parseAnswer(bytes, mark);
    if (nowMs !== undefined) expect(Number.isSafeInteger(nowMs)).toBe(true);
  };
  await fuzz({ name: 'SNTP', cases: SHARES.sntp, seeds: [new Uint8Array(answer)], parse });
  expect(parseAnswer(answer, mark)).toBe((3_972_672_000 - 2_208_988_800) * 1000);
});
