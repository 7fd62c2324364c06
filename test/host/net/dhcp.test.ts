import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseLease } from '../../../src/host/net/dhcp.ts';

/** A DHCP message with an address and the options given, as RFC 2131 lays it out. */
function message(options: readonly number[]): Buffer {
  const head = Buffer.alloc(240);
  head.set([10, 91, 7, 23], 16);
  head.writeUInt32BE(0x63825363, 236);
  return Buffer.concat([head, Buffer.from(options)]);
}

test('a lease is read with its router, name servers and time', () => {
  const serverAndTime = [53, 1, 5, 0, 0, 54, 4, 10, 91, 7, 2, 51, 4, 0, 0, 14, 16];
  const routerAndNames = [3, 4, 10, 91, 7, 1, 6, 8, 10, 91, 7, 2, 9, 9, 9, 9];
  const behindTheEnd = [255, 6, 4, 1, 1, 1, 1];
  const bytes = message([...serverAndTime, ...routerAndNames, ...behindTheEnd]);
  expect(parseLease('eth0', bytes)).toEqual({
    link: 'eth0',
    address: '10.91.7.23',
    router: '10.91.7.1',
    nameServers: ['10.91.7.2', '9.9.9.9'],
    timeServers: [],
    server: '10.91.7.2',
    lifetimeSeconds: 3600,
  });
});

test('what a machine shall boot is read as an option, or from the field of old', () => {
  const url = 'http://10.91.7.1:8081/zos.efi';
  const option = [67, url.length, ...Buffer.from(url), 255];
  expect(parseLease('eth0', message(option))?.bootFile).toBe(url);
  const old = message([255]);
  old.write('undionly.kpxe', 108, 'latin1');
  expect(parseLease('eth0', old)?.bootFile).toBe('undionly.kpxe');
  // Option 52 says that the fields hold options.
  const overloaded = message([52, 1, 1, 255]);
  overloaded.write('options', 108, 'latin1');
  expect(parseLease('eth0', overloaded)?.bootFile).toBeUndefined();
  const odd = [67, 3, 0x61, 0x0a, 0x62, 255];
  expect(parseLease('eth0', message(odd))?.bootFile).toBeUndefined();
});

test('an option that is cut off is left out', () => {
  expect(parseLease('eth0', message([6, 4, 10]))?.nameServers).toEqual([]);
});

test('no bytes make it throw, and only a DHCP message is a lease', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(parseLease('eth0', bytes)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.nat(255), { maxLength: 300 }), (options) => {
      expect(parseLease('eth0', message(options))?.address).toBe('10.91.7.23');
    }),
  );
});
