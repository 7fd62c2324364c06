import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openConsole } from '../../boot/program/console.ts';
import { type FetchedRelease, fetchRelease } from '../../boot/program/mirrors.ts';
import { DAY_MS } from '../../src/lib/units.ts';
import { type Fault, FAULTS, flipBit, openMirror, sendFile } from '../support/mirror.ts';
import {
  keyIdOf,
  makeRelease,
  resign,
  type TestRelease,
  writeNextRoot,
} from '../support/release.ts';

const nowMs = Date.now();
let good: TestRelease;
beforeAll(async () => {
  good = await makeRelease(nowMs);
});
afterAll(async () => good[Symbol.asyncDispose]());

type Boot = {
  readonly lines: readonly string[];
  readonly fetched: FetchedRelease | undefined;
  readonly system: Buffer | undefined;
};

/** Boots from mirrors that share a trusted root, going through them once. */
async function boot(
  mirrors: readonly string[],
  release: Pick<TestRelease, 'root'> & { readonly firstStagePath?: string } = good,
): Promise<Boot> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-boot-'));
  const lines: string[] = [];
  const { root, firstStagePath } = release;
  try {
    const fetched = await fetchRelease({
      mirrors,
      root,
      folder,
      roundsMax: 1,
      ...(firstStagePath === undefined ? {} : { firstStagePath }),
      console: openConsole(
        (line) => lines.push(line),
        () => 0,
      ),
      limits: {
        bytesPerSecondMin: 1024 * 1024,
        graceMs: 1e3,
        idleMs: 400,
      },
    });
    const system = await readFile(join(folder, 'system.erofs')).catch(() => undefined);
    return { lines, fetched, system };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function refusals(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /refused (\S+: [A-Z_]+)/u.exec(line)?.[1] ?? []);
}

test('a good mirror is enough, and the first stage lends what it holds', async () => {
  await using mirror = await openMirror(good.releasePath);
  const { lines, fetched, system } = await boot([mirror.url]);
  expect(refusals(lines)).toEqual([]);
  expect(system?.equals(good.system)).toBe(true);
  expect(fetched?.mirror).toBe(mirror.url);
  expect(fetched?.reusedBytes).toBe(128 * 1024);
  expect(fetched?.wireBytes).toBeLessThan(good.system.length - 128 * 1024 + 8 * 1024);
});

test('a first stage with other bytes costs one whole download, and nothing else', async () => {
  await using mirror = await openMirror(good.releasePath);
  const firstStagePath = join(good.releasePath, 'system.erofs');
  const { lines, fetched, system } = await boot([mirror.url], { root: good.root, firstStagePath });
  expect(refusals(lines)).toEqual([]);
  expect(system?.equals(good.system)).toBe(true);
  expect(fetched?.reusedBytes).toBe(0);
});

const METADATA = ['timestamp', 'snapshot', 'targets'] as const;

const expectations: readonly (readonly [path: string, fault: keyof typeof FAULTS, code: string])[] =
  [
    ...METADATA.flatMap((role) => {
      const path = `metadata/${role}.json`;
      return [
        [path, 'missing', 'HTTP_STATUS'] as const,
        [path, 'failing', 'HTTP_STATUS'] as const,
        [path, 'redirect', 'HTTP_STATUS'] as const,
        [path, 'portal', 'NOT_JSON'] as const,
        [path, 'endless', 'HTTP_TOO_LONG'] as const,
        [path, 'short', 'NOT_JSON'] as const,
        [path, 'brokenOff', 'HTTP_BROKEN_OFF'] as const,
      ];
    }),
    ['metadata/2.root.json', 'failing', 'HTTP_STATUS'],
    ['metadata/2.root.json', 'redirect', 'HTTP_STATUS'],
    ['metadata/2.root.json', 'portal', 'NOT_JSON'],
    ['metadata/2.root.json', 'endless', 'HTTP_TOO_LONG'],
    ['grid.json', 'flipped', 'DIGEST_MISMATCH'],
    ['grid.json', 'missing', 'HTTP_STATUS'],
    ['grid.json', 'portal', 'LENGTH_MISMATCH'],
    ['system.erofs', 'flipped', 'DIGEST_MISMATCH'],
    ['system.erofs', 'short', 'LENGTH_MISMATCH'],
    ['system.erofs', 'missing', 'HTTP_STATUS'],
    ['system.erofs', 'failing', 'HTTP_STATUS'],
    ['system.erofs', 'redirect', 'HTTP_STATUS'],
    ['system.erofs', 'portal', 'LENGTH_MISMATCH'],
    ['system.erofs', 'endless', 'HTTP_TOO_LONG'],
    ['system.erofs', 'silent', 'HTTP_TOO_SLOW'],
  ];

test.each(expectations)(
  '%s, %s: refused as %s, and the next mirror is used',
  async (path, fault, code) => {
    await using bad = await openMirror(good.releasePath, { [path]: FAULTS[fault] });
    await using next = await openMirror(good.releasePath);
    const { lines, fetched, system } = await boot([bad.url, next.url], { root: good.root });
    expect(refusals(lines)).toEqual([`${path}: ${code}`]);
    expect(fetched?.mirror).toBe(next.url);
    expect(system?.equals(good.system)).toBe(true);
  },
);

test('with bad mirrors alone nothing is handed over, and that is said', async () => {
  await using bad = await openMirror(good.releasePath, { 'system.erofs': FAULTS.flipped });
  await using gone = await openMirror(good.releasePath, {
    'metadata/timestamp.json': FAULTS.missing,
  });
  const { lines, fetched } = await boot([bad.url, gone.url, 'http://127.0.0.1:1'], {
    root: good.root,
  });
  expect(fetched).toBeUndefined();
  expect(refusals(lines)).toEqual([
    'system.erofs: DIGEST_MISMATCH',
    'metadata/timestamp.json: HTTP_STATUS',
    'metadata/2.root.json: HTTP_UNREACHABLE',
  ]);
});

test('any one bit of any metadata file: refused by its name', async () => {
  const length = async (path: string): Promise<number> => (await readFile(path)).length;
  const lengths = await Promise.all(
    METADATA.map((role) => length(join(good.releasePath, `metadata/${role}.json`))),
  );
  const fault: { path: string; send: Fault } = { path: '', send: sendFile };
  const send: Fault = (exchange) => fault.send(exchange);
  const paths = METADATA.map((role) => `metadata/${role}.json`);
  await using mirror = await openMirror(
    good.releasePath,
    Object.fromEntries(paths.map((path) => [path, send])),
  );
  const anyBit = fc
    .nat(METADATA.length - 1)
    .chain((which) => fc.tuple(fc.constant(which), fc.nat((lengths[which] ?? 1) * 8 - 1)));
  await fc.assert(
    fc.asyncProperty(anyBit, async ([which, bit]) => {
      fault.path = paths[which] ?? '';
      fault.send = (exchange) => {
        const isIt = exchange.request.url === `/${fault.path}`;
        sendFile(isIt ? { ...exchange, bytes: flipBit(exchange.bytes, bit) } : exchange);
      };
      const { lines, fetched } = await boot([mirror.url]);
      expect(fetched).toBeUndefined();
      expect(refusals(lines).map((text) => text.split(':')[0])).toEqual([fault.path]);
    }),
    { numRuns: 150 },
  );
}, 60_000);

test.each([
  ['timestamp', 'EXPIRED'],
  ['snapshot', 'EXPIRED'],
  ['targets', 'EXPIRED'],
] as const)('%s past its expiry is refused as %s', async (role, code) => {
  await using release = await makeRelease(nowMs);
  await resign(release, {
    [role]: (signed: Record<string, unknown>) => (signed['expires'] = '2020-01-01T00:00:00Z'),
  });
  await using mirror = await openMirror(release.releasePath);
  expect(refusals((await boot([mirror.url], release)).lines)).toEqual([
    `metadata/${role}.json: ${code}`,
  ]);
});

test.each(METADATA)('%s signed by another role is refused', async (role) => {
  await using release = await makeRelease(nowMs);
  const other = role === 'targets' ? 'snapshot' : 'targets';
  await resign(release, {}, { [role]: other });
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual([`metadata/${role}.json: UNTRUSTED`]);
});

test('a release of somebody else is refused', async () => {
  await using other = await makeRelease(nowMs);
  await using mirror = await openMirror(other.releasePath);
  const { lines } = await boot([mirror.url]);
  expect(refusals(lines)).toEqual(['metadata/timestamp.json: UNTRUSTED']);
});

test('a mirror with an older release can not take a node back', async () => {
  await using release = await makeRelease(nowMs);
  const versionOne = await readFile(join(release.releasePath, 'metadata/timestamp.json'));
  await resign(release, { timestamp: (signed) => (signed['version'] = 2) });
  await using newer = await openMirror(release.releasePath, { 'system.erofs': FAULTS.failing });
  await using older = await openMirror(release.releasePath, {
    'metadata/timestamp.json': (exchange) => sendFile({ ...exchange, bytes: versionOne }),
  });
  expect(refusals((await boot([newer.url, older.url], release)).lines)).toEqual([
    'system.erofs: HTTP_STATUS',
    'metadata/timestamp.json: ROLLED_BACK',
  ]);
});

test('a next root that the first one signed is followed, and may ask for more signatures', async () => {
  await using release = await makeRelease(nowMs);
  const extra = await keyIdOf(release, 'targets');
  type Roles = Record<string, { keyids: string[]; threshold: number }>;
  await writeNextRoot(release, (signed) => {
    const { timestamp } = signed['roles'] as Roles;
    timestamp?.keyids.push(extra);
    if (timestamp !== undefined) timestamp.threshold = 2;
  });
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual(['metadata/timestamp.json: UNTRUSTED']);
  expect(lines.join('\n')).toContain('1/2 keys');
});

test('a next root by other keys, or with one bit changed, is refused', async () => {
  await using release = await makeRelease(nowMs);
  await writeNextRoot(release, () => {}, ['targets']);
  await using stolen = await openMirror(release.releasePath);
  const name = 'metadata/2.root.json';
  expect(refusals((await boot([stolen.url], release)).lines)).toEqual([`${name}: UNTRUSTED`]);
  await writeNextRoot(release);
  await using flipped = await openMirror(release.releasePath, { [name]: FAULTS.flipped });
  const { lines } = await boot([flipped.url], release);
  expect(refusals(lines).map((text) => text.split(':')[0])).toEqual([name]);
});

test('a root past its expiry is refused', async () => {
  await using release = await makeRelease(nowMs - 6 * 365 * DAY_MS);
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual(['metadata/timestamp.json: EXPIRED']);
});

test('a file that broke off goes on where it was, at the same mirror and at the next', async () => {
  let breaks = 0;
  const ranges: (string | undefined)[] = [];
  const breaking: Fault = ({ request, response, bytes }) => {
    ranges.push(request.headers.range);
    breaks += 1;
    if (breaks > 2) {
      sendFile({ request, response, bytes });
      return;
    }
    const start = Number(/^bytes=(\d+)/u.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = bytes.subarray(start);
    response.writeHead(start === 0 ? 200 : 206, {
      'content-length': rest.length,
      'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
    });
    response.write(rest.subarray(0, 40_000), () => response.destroy());
  };
  await using mirror = await openMirror(good.releasePath, { 'system.erofs': breaking });
  const { lines, system } = await boot([mirror.url], { root: good.root });
  expect(refusals(lines)).toEqual([]);
  expect(system?.equals(good.system)).toBe(true);
  expect(ranges[0]).toBeUndefined();
  expect(ranges.slice(1).every((range) => /^bytes=[1-9]/u.test(range ?? ''))).toBe(true);
  expect(ranges.length).toBe(3);
});

test('a mirror that knows no ranges serves the whole file', async () => {
  const whole: Fault = ({ response, bytes }) =>
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  await using mirror = await openMirror(good.releasePath, { 'system.erofs': whole });
  const { lines, fetched, system } = await boot([mirror.url]);
  expect(refusals(lines)).toEqual([]);
  expect(fetched?.reusedBytes).toBe(0);
  expect(system?.equals(good.system)).toBe(true);
});

test('bytes that one mirror poisoned are not held against the next', async () => {
  const poison: Fault = ({ response, bytes }) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(Buffer.alloc(50_000, 7), () => response.destroy());
  };
  await using bad = await openMirror(good.releasePath, { 'system.erofs': poison });
  await using next = await openMirror(good.releasePath);
  const { lines, fetched, system } = await boot([bad.url, next.url], { root: good.root });
  expect(refusals(lines)).toEqual(['system.erofs: HTTP_BROKEN_OFF']);
  expect(fetched?.mirror).toBe(next.url);
  expect(system?.equals(good.system)).toBe(true);
});
