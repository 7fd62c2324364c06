import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boot, refusals } from '../support/release/boot.ts';
import { type Fault, FAULTS, flipBit, openMirror, sendFile } from '../support/release/mirror.ts';
import { makeRelease, type TestRelease } from '../support/release/release.ts';

let good: TestRelease;
beforeAll(async () => {
  good = await makeRelease(Date.now());
});
afterAll(async () => good[Symbol.asyncDispose]());

test('a good mirror is enough, and the first stage lends what it holds', async () => {
  await using mirror = await openMirror(good.releasePath);
  const { lines, fetched, system } = await boot([mirror.url], good);
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
        [path, 'portal', role === 'timestamp' ? 'NOT_JSON' : 'DIGEST_MISMATCH'] as const,
        [path, 'endless', 'HTTP_TOO_LONG'] as const,
        [path, 'short', role === 'timestamp' ? 'NOT_JSON' : 'DIGEST_MISMATCH'] as const,
        [path, 'brokenOff', 'HTTP_BROKEN_OFF'] as const,
        [path, 'huge', 'HTTP_TOO_LONG'] as const,
        [path, 'silent', 'HTTP_TOO_SLOW'] as const,
        [path, 'dripping', 'HTTP_TOO_SLOW'] as const,
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
    ['system.erofs', 'dripping', 'HTTP_TOO_SLOW'],
    ['grid.json', 'huge', 'LENGTH_MISMATCH'],
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
      const { lines, fetched } = await boot([mirror.url], good);
      expect(fetched).toBeUndefined();
      expect(refusals(lines).map((text) => text.split(':')[0])).toEqual([fault.path]);
    }),
    { numRuns: 150 },
  );
}, 300_000);

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
  const { lines, fetched, system } = await boot([mirror.url], good);
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
