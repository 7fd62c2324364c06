import { approvalUrlOf } from '../../../src/screen/address.ts';
import type { ScreenState } from '../../../src/screen/spec.ts';
import { GiB, MINUTE_MS } from '../../../src/lib/units.ts';

const NODE = '3f2a91c07be4d85516f0'.padEnd(64, '9d07c2e85b');
const DIRECTORY = 'http://10.91.0.1:8080';

const BOOTING: ScreenState = {
  release: 'Zero-OS 2026.11.21',
  uptimeMs: 9_400,
  nowMs: Date.UTC(2026, 10, 21, 22, 50),
  addresses: [],
  waiting: [],
  failure: null,
  lines: [
    { text: 'started Zero-OS 2026.11.21, 2140 ms after the kernel', atMs: 2_200 },
    { text: 'clock 2026-11-21T22:50:00.000Z', atMs: 2_300 },
    { text: 'firewall-closed', atMs: 2_900 },
    { text: 'modules loaded 14 failed 0', atMs: 4_100 },
    { text: 'link-up eth0 52:54:00:5a:00:01', atMs: 4_300 },
  ],
};

const FETCHING: ScreenState = {
  ...BOOTING,
  uptimeMs: 14_000,
  addresses: ['10.91.1.100'],
  lines: [
    ...BOOTING.lines,
    { text: 'address 10.91.1.100 on eth0 from 10.91.0.1', atMs: 7_000 },
    { text: 'media http://10.91.0.1:8000/farm.json', atMs: 7_400 },
    { text: 'mirror http://10.91.0.1:8000', atMs: 7_500 },
    { text: 'metadata root 1 timestamp 4 targets 4', atMs: 7_900 },
    { text: 'fetching system.erofs 60211200 reused 21233664', atMs: 8_000 },
    { text: 'fetched system.erofs 50 %', atMs: 13_900 },
  ],
};

const UNAPPROVED: ScreenState = {
  ...BOOTING,
  uptimeMs: 95_000,
  node: NODE,
  approvalUrl: approvalUrlOf(DIRECTORY, NODE),
  directoryUrl: DIRECTORY,
  class: { name: 'unverified', because: 'the firmware checked nothing (no Secure Boot)' },
  addresses: ['10.91.1.100', 'fd00:91::1:100'],
  isClockSynced: true,
  cores: { used: 0, total: 4 },
  memoryBytes: { used: 0, total: 3.6 * GiB },
  ssdBytes: { used: 0, total: 120 * GiB },
  workloads: { running: 0, waiting: 0, failed: 0 },
  waiting: [{ key: 'approval', what: 'its farmer', sinceMs: 53_000 }],
  lines: [
    { text: 'data-disk /dev/vda made new', atMs: 38_000 },
    { text: `identity node=${NODE} made new`, atMs: 39_000 },
    { text: 'clock-synced was off by 0.2 s', atMs: 52_000 },
  ],
};

const READY: ScreenState = {
  ...UNAPPROVED,
  uptimeMs: 3 * 60 * MINUTE_MS,
  farm: 'c0ffee'.repeat(11).slice(0, 64),
  waiting: [],
  cores: { used: 1.5, total: 4 },
  memoryBytes: { used: 3.4 * GiB, total: 3.6 * GiB },
  ssdBytes: { used: 12 * GiB, total: 120 * GiB },
  hddBytes: { used: 0, total: 4_000 * GiB },
  workloads: { running: 11, waiting: 1, failed: 0 },
  lines: [
    { text: 'contract 5c1e07aa9b21 version 1 running', atMs: 61_000 },
    { text: 'release-remembered targets 4 on the disk', atMs: 62_000 },
  ],
};

/** The screen in each of its states, by the names of the pictures. */
export const SCREENS: Readonly<Record<string, ScreenState>> = {
  booting: BOOTING,
  fetching: FETCHING,
  'no-network': {
    ...BOOTING,
    uptimeMs: 4 * MINUTE_MS,
    waiting: [
      {
        key: 'network',
        what: 'an address: no DHCP server answers; eth0 has link, eth1 has no link',
        sinceMs: 5_000,
      },
    ],
  },
  refused: {
    ...FETCHING,
    waiting: [
      { key: 'mirror', what: 'a release: no mirror of 1 gave it, again in 8 s', sinceMs: 9_000 },
    ],
    failure: {
      sentence:
        'http://10.91.0.1:8000: SIGNATURE_INVALID timestamp.json is not signed by the keys of ' +
        'this image; check the address of the mirror in the farm file.',
      atMs: 9_000,
    },
  },
  unapproved: UNAPPROVED,
  ready: READY,
  'no-directory': {
    ...READY,
    waiting: [
      {
        key: 'directory',
        what: 'the directory by feed: It can not be reached. try 9, next in 42.0 s',
        sinceMs: READY.uptimeMs - 11 * MINUTE_MS,
      },
    ],
  },
  trouble: {
    ...READY,
    workloads: { running: 10, waiting: 1, failed: 1 },
    troubles: ['The data disk /dev/vda (serial zos-disk-0) takes no more: free 2 GiB of it.'],
    failure: {
      sentence: 'container 5c1e07aa9b21-web: CRUN_FAILED crun could not start it',
      atMs: READY.uptimeMs - 40_000,
    },
  },
};
