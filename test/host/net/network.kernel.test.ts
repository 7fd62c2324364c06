import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runInside } from '../../support/inside.ts';

const inside = async (name: string): Promise<unknown> =>
  runInside(join(import.meta.dirname, 'inside', `${name}.ts`));

test('strangers get no answer from the host, and reach the open tunnel ports alone', async () => {
  expect(await inside('firewall')).toEqual({
    without: 'open true',
    closed: 'silent false',
    open: 'silent true',
    openPorts: ['7'],
    isClosed: true,
    closedAgain: 'silent false',
    broken: 'TOOL_FAILED',
    afterBroken: [],
    called: 'hi',
  });
}, 300_000);

test('links, addresses and settings are made and read inside a namespace', async () => {
  const netns = 'zn-'.padEnd(35, 'a');
  expect(await inside('links')).toMatchObject({
    inside: [
      { name: 'lo', isLoopback: true },
      {
        name: 'in',
        kind: 'veth',
        alias: 'abab',
        mtuBytes: 1420,
        isUp: true,
        addresses: [{ address: 'fd00::1', prefixBits: 64, scope: 'global', isTentative: false }],
      },
    ],
    routes: [{ dst: 'fd00::/64', dev: 'in' }],
    byPid: ['lo', 'out'],
    failure: 'ip refused "link set dev none up": Cannot find device "none"',
    left: ['lo', 'out', 'two', 'one'],
    forward: { inside: '1', outside: '0' },
    before: [netns],
    after: [],
  });
}, 300_000);

test('a lease is taken from whichever link answers, and stays when the client ends', async () => {
  expect(await inside('leases')).toMatchObject({
    lease: {
      link: 'eth0',
      address: expect.stringMatching(/^10\.9\.8\.1\d$|^10\.9\.8\.20$/) as string,
      router: '10.9.8.1',
      nameServers: ['10.9.8.1', '9.9.9.9'],
      lifetimeSeconds: 3600,
    },
    others: [],
    isThere: true,
    route: { gateway: '10.9.8.1', dev: 'eth0' },
    kept: [['eth0', 'eth1'], ['eth0'], null],
  });
}, 300_000);
