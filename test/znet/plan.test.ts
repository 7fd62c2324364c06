import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  compareZnet,
  namespaceOf,
  peerDifference,
  type ZnetHave,
  type ZnetSpec,
  znetSpecOf,
} from '../../src/znet/plan.ts';
import type { ZnetEnd } from '../../src/znet/spec.ts';
import { znetEndOf } from '../../src/znet/status.ts';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';

const ZNET = '5e'.repeat(16);
const NODE = sha256Hex(utf8('me'));

function end(key: number, address: string | undefined, znet = ZNET): ZnetEnd {
  const publicKey = Buffer.alloc(32, key).toString('base64');
  return { znet, publicKey, port: 1000 + key, addresses: address === undefined ? [] : [address] };
}

function specOf(ends: ReadonlyMap<string, ZnetEnd>, peers = [...ends.keys()]): ZnetSpec {
  const znet = { kind: 'znet' as const, name: 'net', peers: peers.map((node) => ({ node })) };
  return znetSpecOf({ id: ZNET, node: NODE, znet, ends });
}

/** What the kernel has after the calls that the difference stands for. */
function carryOut(spec: ZnetSpec, peers: ZnetHave['peers']): ZnetHave['peers'] {
  const { set, remove } = peerDifference(spec, { peers });
  const kept = new Map(
    peers.filter((peer) => !remove.includes(peer.publicKey)).map((peer) => [peer.publicKey, peer]),
  );
  for (const { publicKey, endpoint, subnet } of set) {
    const before = kept.get(publicKey);
    kept.set(publicKey, {
      publicKey,
      endpoint: endpoint ?? before?.endpoint,
      allowedIps: [subnet],
      handshakeAgeMs: before?.handshakeAgeMs,
    });
  }
  return [...kept.values()];
}

const anyEnds = fc
  .array(fc.tuple(fc.nat(9), fc.nat(20), fc.constantFrom('10.0.0.1', 'fd00::9', undefined)), {
    maxLength: 8,
  })
  .map(
    (list) =>
      new Map(list.map(([node, key, address]) => [sha256Hex(utf8(`${node}`)), end(key, address)])),
  );

const anyPeers = fc.uniqueArray(
  fc.record({
    publicKey: fc.nat(20).map((key) => Buffer.alloc(32, key).toString('base64')),
    endpoint: fc.constantFrom('10.0.0.1:1001', '10.9.9.9:5', undefined),
    allowedIps: fc.constantFrom<string[]>(['fd00::/64'], []),
    handshakeAgeMs: fc.constantFrom(1000, 600_000, undefined),
  }),
  { selector: ({ publicKey }) => publicKey },
);

test('carrying out a difference leaves none, whatever was there', () => {
  fc.assert(
    fc.property(anyEnds, anyPeers, (ends, peers) => {
      const spec = specOf(ends);
      const after = carryOut(spec, peers);
      expect(peerDifference(spec, { peers: after })).toEqual({ set: [], remove: [] });
      expect(new Set(after.map(({ publicKey }) => publicKey))).toEqual(
        new Set(spec.peers.map(({ publicKey }) => publicKey)),
      );
    }),
  );
});

test('a peer may send from its own part of the znet and from nowhere else', () => {
  const other = sha256Hex(utf8('other'));
  const [peer] = specOf(new Map([[other, end(1, '10.0.0.1')]])).peers;
  expect(peer?.subnet).toMatch(/^fd5e:5e5e:5e5e:[0-9a-f]{1,4}::\/64$/);
  expect(peer?.endpoint).toBe('10.0.0.1:1001');
});

test('a peer that has not told its key is waited for, and one of another znet is none', () => {
  const [one, two] = [sha256Hex(utf8('1')), sha256Hex(utf8('2'))];
  expect(specOf(new Map(), [one, two]).peers).toEqual([]);
  const foreign = end(1, '10.0.0.1', '77'.repeat(16));
  expect(specOf(new Map([[one, foreign]]), [one]).peers).toEqual([]);
});

test('a node that nobody named as a peer stays out, even with a receipt', () => {
  const stranger = sha256Hex(utf8('stranger'));
  expect(specOf(new Map([[stranger, end(3, '10.0.0.3')]]), []).peers).toEqual([]);
});

test('a key that two peers tell as their own is the first one’s', () => {
  const [one, two] = [sha256Hex(utf8('1')), sha256Hex(utf8('2'))];
  const ends = new Map([
    [one, end(1, '10.0.0.1')],
    [two, end(1, '10.0.0.2')],
  ]);
  expect(specOf(ends, [two, one]).peers.map(({ node }) => node)).toEqual([two]);
});

test('an address with colons is written with brackets; without one the peer has to call', () => {
  const [one, two] = [sha256Hex(utf8('1')), sha256Hex(utf8('2'))];
  const { peers } = specOf(
    new Map([
      [one, end(1, 'fd00::9')],
      [two, end(2, undefined)],
    ]),
  );
  expect(peers.map(({ endpoint }) => endpoint)).toEqual(['[fd00::9]:1001', null]);
});

const WHOLE: ZnetHave = {
  id: ZNET,
  isWhole: true,
  publicKey: Buffer.alloc(32, 9).toString('base64'),
  port: 4242,
  isPortOpen: true,
  address: specOf(new Map()).address,
  peers: [],
};

test.each([
  [{}, 'none '],
  [{ isWhole: false }, 'replace half-made'],
  [{ address: undefined }, 'replace half-made'],
  [{ address: 'fd00::1' }, 'replace half-made'],
  [{ isPortOpen: false }, 'update port-closed'],
] as const)('%j is met by %s', (change, expected) => {
  const difference = compareZnet(specOf(new Map()), { ...WHOLE, ...change });
  expect(`${difference.change} ${difference.because}`).toBe(expected);
});

test('a tunnel that works keeps the endpoint it moved to, a silent one gets the told one', () => {
  const other = sha256Hex(utf8('other'));
  const spec = specOf(new Map([[other, end(1, '10.0.0.1')]]));
  const [peer] = spec.peers;
  const moved = {
    publicKey: peer?.publicKey ?? '',
    endpoint: '10.7.7.7:7',
    allowedIps: [peer?.subnet ?? ''],
  };
  const working = { ...WHOLE, peers: [{ ...moved, handshakeAgeMs: 60_000 }] };
  const silent = { ...WHOLE, peers: [{ ...moved, handshakeAgeMs: 200_000 }] };
  expect(compareZnet(spec, working).change).toBe('none');
  expect(compareZnet(spec, silent)).toEqual({ change: 'update', because: 'other-peers' });
});

test('an end is told only when it is whole', () => {
  expect(znetEndOf(WHOLE, ['10.0.0.1'])).toEqual({
    znet: ZNET,
    publicKey: WHOLE.publicKey,
    port: 4242,
    addresses: ['10.0.0.1'],
  });
  expect(znetEndOf({ ...WHOLE, isWhole: false }, [])).toBeUndefined();
  expect(znetEndOf({ ...WHOLE, port: undefined }, [])).toBeUndefined();
});

test('two znets never share a namespace, however alike their ids begin', () => {
  const twin = `${ZNET.slice(0, 31)}0`;
  expect(namespaceOf(twin)).not.toBe(namespaceOf(ZNET));
});
