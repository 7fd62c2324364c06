import { expect, test } from 'vitest';
import { traffic } from '../../src/container/observe.ts';
import { digestOf } from '../../src/container/oci.ts';
import {
  compareContainer,
  type ContainerHave,
  containerSpecOf,
  linkNameOf,
} from '../../src/container/plan.ts';
import { MiB } from '../../src/lib/units.ts';

const SPEC = containerSpecOf({
  contract: 'c0ffee'.padEnd(64, '0'),
  container: {
    kind: 'container',
    name: 'web',
    image: { sha256: 'ab'.repeat(32), lengthBytes: 4096, sources: ['http://10.0.0.1/w'] },
    args: ['/bin/httpd'],
    env: {},
    secrets: [],
    uid: 1000,
    cpuMillis: 250,
    memoryBytes: 32 * MiB,
    pidsMax: 16,
    znet: null,
    hosts: [],
  },
  rootPath: '/run/zos/images/mnt/ab',
  attachment: null,
  secrets: [],
});

const RUNNING: ContainerHave = {
  id: SPEC.id,
  digest: digestOf(SPEC),
  state: 'running',
  pid: 42,
  startTicks: 4200,
  startedAtMs: 1_700_000_000_000,
  oomKills: 0,
  logBytes: 0,
  counts: null,
};

test('a container that runs as it was signed is left alone', () => {
  expect(compareContainer(SPEC, RUNNING).change).toBe('none');
});

test.each([
  [{ state: 'stopped' }, 'update exited'],
  [{ state: 'stopped', oomKills: 1 }, 'update out-of-memory'],
  [{ state: 'created' }, 'update never-started'],
  [{ digest: '00' }, 'replace other-wish'],
  [{ digest: undefined }, 'replace half-made'],
  [{ digest: '00', state: 'stopped' }, 'replace other-wish'],
] as const)('%j is met by %s', (change, expected) => {
  const difference = compareContainer(SPEC, { ...RUNNING, ...change });
  expect(`${difference.change} ${difference.because}`).toBe(expected);
});

test('names fit where they go: crun’s folder and the kernel’s 15 characters', () => {
  expect(SPEC.id).toBe('c0ffee0000000000-web');
  expect(linkNameOf(SPEC.id)).toMatch(/^c-[0-9a-f]{12}$/);
});

test('the traffic of a container is what went over its one link', () => {
  const links = [
    'Inter-|   Receive                            |  Transmit',
    ' face |bytes    packets errs drop fifo frame |bytes    packets',
    '    lo:    9999      10    0    0    0     0          0         0     9999      10    0',
    '  eth0: 1234567      10    0    0    0     0          0         0      890      12    0',
  ].join('\n');
  expect(traffic(links)).toEqual({ receivedBytes: 1_234_567, sentBytes: 890 });
  expect(traffic(links.replace('eth0', 'wlan'))).toEqual({ receivedBytes: 0, sentBytes: 0 });
});
