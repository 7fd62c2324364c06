import fc from 'fast-check';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Observed, planUplinks } from '../../src/uplink/plan.ts';
import { statusOfUplinks } from '../../src/uplink/status.ts';
import type { UplinkSettings } from '../../src/uplink/spec.ts';
import { afterPlan, AUTO, cardOf, machineOf, printPlan, settingsOf } from './world.ts';

const GOLDEN = join(import.meta.dirname, '../golden/uplink');
const [ONE, TWO, THREE] = ['52:54:00:00:00:01', '52:54:00:00:00:02', '52:54:00:00:00:03'] as const;

const STATIC = settingsOf({
  uplinks: [
    {
      macs: [ONE],
      mtuBytes: 1400,
      addresses: ['192.0.2.7/24', '2001:DB8:0::7/64'],
      gateways: ['192.0.2.1', '2001:db8::1'],
    },
  ],
  nameServers: ['192.0.2.53'],
});
const BUNDLE = settingsOf({
  uplinks: [
    { macs: [TWO, ONE], vlan: 40, addresses: 'automatic' },
    { macs: [ONE, TWO], vlan: 41, addresses: ['198.51.100.2/31'], gateways: ['198.51.100.3'] },
  ],
});

const cards = [cardOf('eth0', ONE), cardOf('eth1', TWO)];
const up = { isUp: true, hasCarrier: true };
const dhcp = { address: '10.0.0.9', prefixBits: 24, scope: 'global', isTentative: false };

const STORIES: readonly (readonly [string, UplinkSettings, Observed])[] = [
  ['two cards, nothing said', AUTO, machineOf(cards)],
  ['one static card beside one that asks', STATIC, machineOf(cards)],
  [
    'static after the network told',
    STATIC,
    machineOf([cardOf('eth0', ONE, { ...up, addresses: [dhcp] }), cardOf('eth1', TWO, up)], {
      leased: ['eth0', 'eth1'],
      toldNameServers: ['10.0.0.1'],
      nameServers: ['10.0.0.1'],
    }),
  ],
  ['two VLANs on a bundle', BUNDLE, machineOf(cards)],
  ['a bundle of which one card is missing', BUNDLE, machineOf([cardOf('ens5', TWO)])],
  ['a bundle that nobody wants any more', AUTO, afterPlan(BUNDLE, machineOf(cards))],
  [
    'a client that ended, a DNS server that changed',
    AUTO,
    machineOf([cardOf('eth0', ONE, { ...up, addresses: [dhcp] })], {
      toldNameServers: ['10.0.0.2', '10.0.0.3'],
      nameServers: ['10.0.0.1'],
    }),
  ],
  ['no card at all', STATIC, machineOf([])],
];

test.each(STORIES)('%s', async (name, settings, have) => {
  const { waits } = statusOfUplinks(settings, have);
  const text = [
    printPlan(planUplinks(settings, have)),
    ...waits.map((what) => `waits for ${what}`),
  ].join('\n');
  const path = join(GOLDEN, `${name.replaceAll(/[^a-zA-Z]+/gu, '-')}.txt`);
  await expect(`${text}\n`).toMatchFileSnapshot(path);
});

const macs = fc.constantFrom(ONE, TWO, THREE, '52:54:00:00:00:04');
const addresses = fc.oneof(
  fc.constant('automatic' as const),
  fc.uniqueArray(fc.constantFrom('10.1.0.2/24', '10.2.0.2/16', 'fd00::2/64'), { minLength: 1 }),
);
const uplink = fc
  .record({
    macs: fc.uniqueArray(macs, { minLength: 1, maxLength: 3 }),
    vlan: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    mtuBytes: fc.option(fc.constantFrom(1280, 9000), { nil: undefined }),
    addresses,
  })
  .map(({ vlan, mtuBytes, ...rest }) => ({
    ...rest,
    ...(vlan === undefined ? {} : { vlan }),
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
    gateways: rest.addresses === 'automatic' ? [] : ['10.1.0.1'],
  }));
/** Any settings that can be signed; those that can't be are left out. */
const anySettings = fc.array(uplink, { maxLength: 4 }).map((uplinks) => {
  const sound = uplinks.filter((one, at) => isSound([...uplinks.slice(0, at), one]));
  return isSound(sound) ? settingsOf({ uplinks: sound }) : AUTO;
});

function isSound(uplinks: readonly unknown[]): boolean {
  try {
    return settingsOf({ uplinks }).uplinks.length >= 0;
  } catch {
    return false;
  }
}

const anyMachine = fc
  .uniqueArray(macs, { maxLength: 4 })
  .chain((found) =>
    fc
      .shuffledSubarray(['eth0', 'eth1', 'eth2', 'eth3'], { minLength: 4 })
      .map((names) => machineOf(found.map((mac, at) => cardOf(names[at] ?? '', mac)))),
  );

test('a plan reaches its goal on any machine, from any settings before, and is then empty', () => {
  fc.assert(
    fc.property(anySettings, anySettings, anyMachine, (before, settings, machine) => {
      const after = afterPlan(settings, afterPlan(before, machine));
      expect(planUplinks(settings, after)).toEqual([]);
      // Nothing is left of the settings before.
      const fresh = afterPlan(settings, machine);
      const names = (have: Observed): string[] => have.links.map(({ name }) => name).toSorted();
      expect(names(after)).toEqual(names(fresh));
      expect(after.leased).toEqual(fresh.leased);
    }),
    { numRuns: 1000 },
  );
});

test('whatever order cards are found in, each gets what its own address says', () => {
  fc.assert(
    fc.property(anySettings, anyMachine, (settings, machine) => {
      const byMac = (have: Observed): string[] => {
        const after = afterPlan(settings, have);
        return after.links
          .filter(({ kind, isLoopback }) => kind === undefined && !isLoopback)
          .map(({ permanentMac, addresses: own, master }) =>
            JSON.stringify([permanentMac, master, own, master === undefined]),
          )
          .toSorted();
      };
      const renamed = machine.links.map((link) =>
        link.isLoopback ? link : { ...link, name: `en${link.name}` },
      );
      expect(byMac({ ...machine, links: renamed.toReversed() })).toEqual(byMac(machine));
    }),
  );
});

test('without a firewall no card is touched, and that is said', () => {
  const open = machineOf(cards, { isClosed: false });
  expect(planUplinks(BUNDLE, open)).toEqual([]);
  expect(statusOfUplinks(BUNDLE, open).waits[0]).toBe(
    'the firewall: without it every card stays down',
  );
});

test('a cable that is pulled changes no plan, and is waited for by name', () => {
  const whole = afterPlan(STATIC, machineOf(cards));
  const pulled = {
    ...whole,
    links: whole.links.map((link) => ({ ...link, hasCarrier: link.name !== 'eth0' })),
  };
  expect(planUplinks(STATIC, pulled)).toEqual([]);
  expect(statusOfUplinks(STATIC, pulled).waits[0]).toBe(`a cable in eth0 (${ONE}): it has no link`);
  const back = { ...whole, links: whole.links.map((link) => ({ ...link, hasCarrier: true })) };
  expect(statusOfUplinks(STATIC, back)).toMatchObject({
    addresses: [
      { address: '192.0.2.7', link: 'eth0' },
      { address: '2001:db8::7', link: 'eth0' },
    ],
    waits: ['an address on eth1: no DHCP server and no IPv6 router answers'],
  });
});

test.each([
  [
    'two uplinks in one VLAN',
    [
      { macs: [ONE], addresses: 'automatic' },
      { macs: [ONE], addresses: 'automatic' },
    ],
  ],
  [
    'a card in two bundles',
    [
      { macs: [ONE, TWO], addresses: 'automatic' },
      { macs: [TWO, THREE], addresses: 'automatic' },
    ],
  ],
  ['a gateway of somebody else', [{ macs: [ONE], addresses: 'automatic', gateways: ['10.0.0.1'] }]],
  [
    'two gateways of a family',
    [{ macs: [ONE], addresses: ['10.0.0.2/8'], gateways: ['10.0.0.1', '10.0.0.3'] }],
  ],
  ['an address without its network', [{ macs: [ONE], addresses: ['10.0.0.2'] }]],
  ['a VLAN that is none', [{ macs: [ONE], vlan: 4095, addresses: 'automatic' }]],
  ['an MTU too small for IPv6', [{ macs: [ONE], mtuBytes: 1279, addresses: 'automatic' }]],
  ['a card without an address', [{ macs: ['52:54'], addresses: 'automatic' }]],
])('%s is refused', (_, uplinks) => {
  expect(isSound(uplinks)).toBe(false);
});
