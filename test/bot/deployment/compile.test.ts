import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contractSchema } from '../../../src/contract/spec.ts';
import { BotError } from '../../../src/bot/errors.ts';
import { compileContracts, type HeldContract } from '../../../src/bot/deployment/compile.ts';
import { type Placement, planPlacement } from '../../../src/bot/deployment/plan.ts';
import type { ContainerWish, Deployment } from '../../../src/bot/deployment/spec.ts';
import { HOUR_MS, MiB } from '../../../src/lib/units.ts';
import { PRICES } from '../../support/contracts.ts';
import { candidates, containers, wish } from './wishes.ts';

const TENANT = '7e'.repeat(32);
const NONE_HELD: ReadonlyMap<string, HeldContract> = new Map();

function deploymentOf(wishes: readonly ContainerWish[]): Deployment {
  return {
    name: 'hello',
    durationMs: 24 * HOUR_MS,
    requires: 'unverified',
    containers: wishes,
    apart: [],
    secrets: {},
  };
}

function compile(
  wishes: readonly ContainerWish[],
  placement: Placement,
  held = NONE_HELD,
): ReturnType<typeof compileContracts> {
  const nodes = [...placement.values()];
  return compileContracts({
    deployment: deploymentOf(wishes),
    placement,
    grid: 'lab',
    tenant: TENANT,
    offers: new Map(nodes.map((node) => [node, { id: '0f'.repeat(32), prices: PRICES }])),
    held,
    bodies: new Map(),
    nonces: new Map(nodes.map((node) => [node, '01'.repeat(16)])),
    nowMs: 1_800_000_000_000,
  });
}

test('every compiled contract is one that a node takes, and together they hold every wish', () => {
  fc.assert(
    fc.property(containers, candidates, (wishes, nodes) => {
      let placement: Placement;
      try {
        placement = planPlacement({
          containers: wishes,
          candidates: nodes,
          apart: [],
          stay: new Map(),
        });
      } catch (error) {
        fc.pre(!(error instanceof BotError));
        throw error;
      }
      const contracts = compile(wishes, placement).map((it) => contractSchema.parse(it));
      const ran = contracts.flatMap(({ node, workloads }) =>
        workloads.flatMap((it) => (it.kind === 'container' ? `${it.name} ${node}` : [])),
      );
      const wanted = [...placement].map(([name, node]) => `${name} ${node}`);
      expect(ran.sort()).toEqual(wanted.sort());
      expect(new Set(contracts.map(({ node }) => node)).size).toBe(contracts.length);
    }),
  );
});

test('nodes of one network name each other as peers, and no others', () => {
  fc.assert(
    fc.property(containers, fc.array(fc.integer({ min: 0, max: 3 })), (wishes, choice) => {
      const placement = new Map(
        wishes.map(({ name }, i) => [name, String(choice[i] ?? 0).repeat(64)] as const),
      );
      const contracts = compile(wishes, placement);
      for (const { node, workloads } of contracts) {
        for (const znet of workloads) {
          if (znet.kind !== 'znet') continue;
          const members = wishes.filter(({ network }) => `hello-${network}` === znet.name);
          const nodes = new Set(members.map(({ name }) => placement.get(name)));
          expect(nodes.has(node)).toBe(true);
          nodes.delete(node);
          expect(new Set(znet.peers.map((peer) => peer.node))).toEqual(nodes);
          expect(znet.peers).toHaveLength(nodes.size);
        }
      }
    }),
  );
});

test('two containers on two nodes: a contract each, and each finds the other by name', () => {
  const web = wish('web', { network: 'net', cpuMillis: 500 });
  const client = wish('client', { network: 'net', cpuMillis: 250, memoryBytes: 32 * MiB });
  const placement = new Map([
    ['web', 'a'.repeat(64)],
    ['client', 'b'.repeat(64)],
  ]);
  const [first, second] = compile([web, client], placement);
  expect(first).toMatchObject({
    id: null,
    version: 1,
    previous: null,
    node: 'a'.repeat(64),
    resources: { cpuMillis: 500, memoryBytes: 64 * MiB, ssdBytes: MiB, hddBytes: 0 },
    notAfterMs: 1_800_000_000_000 + 24 * HOUR_MS,
  });
  expect(first?.workloads).toEqual([
    { kind: 'znet', name: 'hello-net', peers: [{ node: 'b'.repeat(64) }] },
    expect.objectContaining({
      kind: 'container',
      name: 'web',
      znet: 'hello-net',
      hosts: [{ name: 'client', address: expect.stringMatching(/^fd[0-9a-f:]+$/) }],
    }),
  ]);
  expect(second?.node).toBe('b'.repeat(64));
});

test('a container without a network is told of nobody', () => {
  const placement = new Map([
    ['a', 'a'.repeat(64)],
    ['b', 'a'.repeat(64)],
  ]);
  const [contract] = compile([wish('a'), wish('b')], placement);
  expect(contract?.workloads.map((it) => (it.kind === 'container' ? it.hosts : 'a znet'))).toEqual([
    [],
    [],
  ]);
});

test('what a node holds already grows into its next version', () => {
  const node = 'a'.repeat(64);
  const held = new Map([[node, { id: '1d'.repeat(32), version: 3, digest: 'd1'.repeat(32) }]]);
  const [contract] = compile([wish('web')], new Map([['web', node]]), held);
  expect(contract).toMatchObject({ id: '1d'.repeat(32), version: 4, previous: 'd1'.repeat(32) });
  expect(contractSchema.safeParse(contract).success).toBe(true);
});
