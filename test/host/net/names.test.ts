import type { LookupAddress } from 'node:dns';
import { expect, test } from 'vitest';
import { type Lookup, openNames } from '../../../src/host/net/names.ts';
import { openDns } from '../../support/wire/dns.ts';

const ONE = [...Array.from({ length: 15 }, () => 0), 1];

async function found(look: Lookup, name: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<LookupAddress[]>();
  look(name, { all: true }, (error, all) => (error === null ? resolve(all) : reject(error)));
  return promise.then(
    (all) => all.map(({ address }) => address).join(' '),
    (error: Error) => error.message,
  );
}

test('both families are asked for; what was found is used again while no server answers', async () => {
  await using dns = await openDns({ four: [127, 0, 0, 1], six: ONE });
  const look = openNames({ nameServers: [dns.address], tryMs: 50 });
  expect(await found(look, 'known.example')).toBe('::1 127.0.0.1');
  dns.behave('four-only');
  expect(await found(look, 'half.example')).toBe('127.0.0.1');
  dns.behave('silent');
  expect(await found(look, 'known.example')).toBe('::1 127.0.0.1');
  expect(await found(look, 'other.example')).toBe(
    `No DNS server answers for other.example (asked ${dns.address}); check them, or name others.`,
  );
  dns.behave('no-such-name');
  expect(await found(look, 'known.example')).toBe('DNS knows no address of known.example.');
});

test('a server that is silent is passed over for the next one', async () => {
  await using dead = await openDns({});
  await using alive = await openDns({ six: ONE });
  dead.behave('silent');
  const look = openNames({ nameServers: [dead.address, alive.address], tryMs: 500 });
  expect(await found(look, 'known.example')).toBe('::1');
  // One that refuses, or knows no such name, does not speak for the others.
  dead.behave('refuses');
  expect(await found(look, 'other.example')).toBe('::1');
  dead.behave('no-such-name');
  expect(await found(look, 'third.example')).toBe('::1');
});

test('without servers the machine’s own settings count', async () => {
  expect(await found(openNames({ nameServers: [] }), 'localhost')).toMatch(/127\.0\.0\.1|::1/u);
  await using dns = await openDns({});
  expect(await found(openNames({ nameServers: [dns.address] }), 'localhost')).toMatch(/1$/u);
});
