import { expect, test } from 'vitest';
import { parseLinks, runIp } from '../../../src/host/net/ip.ts';

// As iproute2 6.15 printed it, fields that nobody reads left out.
const SHOWN = JSON.stringify([
  {},
  {
    ifindex: 2,
    ifname: 'eth0',
    flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
    mtu: 1500,
    address: '52:54:00:12:34:56',
    addr_info: [
      { family: 'inet', local: '10.91.7.23', prefixlen: 24, scope: 'global' },
      { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link', tentative: true },
      {},
    ],
  },
  {
    ifindex: 3,
    ifname: 'wg0',
    flags: ['POINTOPOINT', 'NOARP'],
    mtu: 1420,
    ifalias: 'abab',
    linkinfo: { info_kind: 'wireguard' },
    addr_info: [],
  },
]);

test('links are read with their addresses', () => {
  const [eth0, wg0, ...others] = parseLinks(SHOWN);
  expect(others).toEqual([]);
  expect(eth0).toMatchObject({ name: 'eth0', kind: undefined, isUp: true, hasCarrier: true });
  expect(eth0?.addresses).toEqual([
    { address: '10.91.7.23', prefixBits: 24, scope: 'global', isTentative: false },
    { address: 'fe80::1', prefixBits: 64, scope: 'link', isTentative: true },
  ]);
  expect(wg0).toMatchObject({ name: 'wg0', kind: 'wireguard', alias: 'abab', isUp: false });
});

test('what ip never prints is an error and not an empty machine', () => {
  expect(() => parseLinks('{"ifname":"eth0"}')).toThrow('can not read');
  expect(() => parseLinks('[{"ifname":"eth0"}]')).toThrow('can not read');
});

test.each(['link del dev a\nnetns del b', 'link del dev a # b', 'link del dev "a"', 'a\\', ''])(
  'the line %j never reaches ip',
  async (line) => {
    await expect(runIp([line])).rejects.toThrow('a character that it may not');
  },
);
