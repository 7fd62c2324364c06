import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { metricsSchema } from '../../../src/contract/health/metrics.ts';
import {
  busyPermille,
  diskTrafficOf,
  pressureOf,
  readTicks,
  ticksOf,
  trafficOf,
} from '../../../src/host/usage/machine.ts';
import { openMetrics } from '../../../src/node/health/metrics.ts';

test('processors are busy with all but idling and waiting for disks', () => {
  const before = ticksOf('cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 1 1 1\n');
  expect(before).toEqual({ busy: 150, all: 1000 });
  const after = ticksOf('cpu  175 0 75 850 50 25 25 0 7 0\n');
  expect(busyPermille(before, after)).toBe(750);
  expect(busyPermille(after, after)).toBe(0);
  expect(busyPermille(after, before)).toBe(0);
  expect(ticksOf('nothing')).toEqual({ busy: 0, all: 0 });
});

test('pressure is of the last minute, and none where the kernel has none', () => {
  const text = 'some avg10=9.00 avg60=1.53 avg300=0.20 total=5\nfull avg10=0.00 avg60=0.70\n';
  expect(pressureOf(text)).toBe(153);
  expect(pressureOf('some avg10=100.00 avg60=100.00 avg300=1.00 total=5')).toBe(10_000);
  expect(pressureOf('')).toBeUndefined();
});

test('only what went over cards, and to disks, is counted', () => {
  const dev = [
    'Inter-|   Receive   |  Transmit',
    '    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0',
    '  eth0: 100 2 0 0 0 0 0 0 30 1 0 0 0 0 0 0',
    '  eth1:10 2 0 0 0 0 0 0 3 1 0 0 0 0 0 0',
  ].join('\n');
  expect(trafficOf(dev, new Set(['eth0', 'eth1']))).toEqual({ receivedBytes: 110, sentBytes: 33 });
  const stats = '   7 0 loop0 5 0 50 0 0 0 0\n 254 0 vda 9 0 16 4 8 0 2 1 0 3 4\n';
  expect(diskTrafficOf(stats, new Set(['vda']))).toEqual({ readBytes: 8192, writtenBytes: 1024 });
});

test('a processor that works is seen to, on this very machine', async () => {
  const before = await readTicks();
  const busy = spawn('sha256sum', ['/dev/zero']);
  const read = openMetrics('/');
  const first = metricsSchema.parse(await read());
  expect(first.disk.freeBytes).toBeLessThanOrEqual(first.disk.lengthBytes);
  expect(first.agent.memoryBytes).toBeGreaterThan(1024 * 1024);
  expect(first.agent.descriptors).toBeGreaterThan(2);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const after = await readTicks();
  busy.kill();
  await once(busy, 'exit');
  expect(busyPermille(before, after)).toBeGreaterThan(100);
});
