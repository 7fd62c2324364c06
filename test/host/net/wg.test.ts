import fc from 'fast-check';
import { expect, test } from 'vitest';
import { argumentsOf, base64Bytes, parseShow } from '../../../src/host/net/wg.ts';

// As wireguard-tools 1.0.20210914 printed it on Linux 6.12.
const SHOWN = `interface: wg0
  public key: y6PYA94UxQlq0UAvwcZpJFLKYrhWUGES/qKqH3OD92Y=
  private key: (hidden)
  listening port: 36163

peer: mVf7t68kDyT0+2M3+tDiwPC9jv46PQUJsmLeHWw17Tc=
  endpoint: 127.0.0.1:42044
  allowed ips: fdab:abab:abab:e268::/64
  latest handshake: 1 minute, 11 seconds ago
  transfer: 1.05 KiB received, 948 B sent
  persistent keepalive: every 25 seconds

peer: DPUuA+HaRlTE266WJdp5P8shw4ALbgEWBY6oJLgTJjs=
  endpoint: [fd00::5]:7
  allowed ips: (none)
`;

test('what wg shows is read whole', () => {
  expect(parseShow(SHOWN)).toEqual({
    publicKey: 'y6PYA94UxQlq0UAvwcZpJFLKYrhWUGES/qKqH3OD92Y=',
    port: 36163,
    peers: [
      {
        publicKey: 'mVf7t68kDyT0+2M3+tDiwPC9jv46PQUJsmLeHWw17Tc=',
        endpoint: '127.0.0.1:42044',
        allowedIps: ['fdab:abab:abab:e268::/64'],
        handshakeAgeMs: 71_000,
        keepaliveSeconds: 25,
      },
      {
        publicKey: 'DPUuA+HaRlTE266WJdp5P8shw4ALbgEWBY6oJLgTJjs=',
        endpoint: '[fd00::5]:7',
        allowedIps: [],
        handshakeAgeMs: undefined,
        keepaliveSeconds: undefined,
      },
    ],
  });
});

test('an interface without key and port is one that is not ready', () => {
  const bare = parseShow('interface: wg0\n');
  expect(bare).toEqual({ publicKey: undefined, port: undefined, peers: [] });
  expect(parseShow('interface: wg0\n  listening port: 0\n').port).toBeUndefined();
});

test('another text is refused and not taken for an empty interface', () => {
  expect(() => parseShow('')).toThrow('can not read');
});

test('a peer is told to wg with all that it may send', () => {
  const peer = { publicKey: 'K', allowedIps: ['fd00::/64', 'fd01::/64'], keepaliveSeconds: 25 };
  expect(argumentsOf({ ...peer, endpoint: '1.2.3.4:5' }).join(' ')).toBe(
    'peer K endpoint 1.2.3.4:5 persistent-keepalive 25 allowed-ips fd00::/64,fd01::/64',
  );
  expect(argumentsOf({ ...peer, endpoint: undefined })).not.toContain('endpoint');
  expect(argumentsOf({ publicKey: 'K', remove: true })).toEqual(['peer', 'K', 'remove']);
});

test('keys in base64 that can be wiped are the keys in base64', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const text = Buffer.from(base64Bytes(bytes)).toString('latin1');
      expect(text).toBe(Buffer.from(bytes).toString('base64'));
    }),
  );
});
