import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addResources, NO_RESOURCES } from '../../../src/capacity/spec.ts';
import { BotError } from '../../../src/bot/errors.ts';
import {
  needsOf,
  type Placement,
  type PlacementQuestion,
  planPlacement,
} from '../../../src/bot/deployment/plan.ts';
import { GiB, MiB } from '../../../src/lib/units.ts';
import { candidate, candidates, containers, wish } from './wishes.ts';

const NOWHERE: Placement = new Map();
const EASY = { apart: [], stay: NOWHERE };

function tryPlan(question: PlacementQuestion): Placement | BotError {
  try {
    return planPlacement(question);
  } catch (error) {
    if (error instanceof BotError) return error;
    throw error;
  }
}

function sentenceOf(question: PlacementQuestion): string {
  const result = tryPlan(question);
  return result instanceof BotError ? `${result.code} ${result.message}` : 'placed';
}

test('every container has a node and no node has more than it had free, or it is refused', () => {
  fc.assert(
    fc.property(containers, candidates, fc.integer({ min: 0, max: 3 }), (wishes, nodes, count) => {
      const apart = wishes.slice(0, count).map(({ name }) => name);
      const result = tryPlan({ containers: wishes, candidates: nodes, apart, stay: NOWHERE });
      if (result instanceof BotError) {
        expect(result.code).toBe('NO_ROOM');
        expect(result.message).toMatch(/container c\d+ .*\d/);
        return;
      }
      expect([...result.keys()].sort()).toEqual(wishes.map(({ name }) => name).sort());
      for (const { node, free } of nodes) {
        const here = wishes.filter(({ name }) => result.get(name) === node);
        const sum = here.map(needsOf).reduce(addResources, NO_RESOURCES);
        expect(sum.cpuMillis).toBeLessThanOrEqual(free.cpuMillis);
        expect(sum.memoryBytes).toBeLessThanOrEqual(free.memoryBytes);
        expect(sum.ssdBytes).toBeLessThanOrEqual(free.ssdBytes);
      }
      const apartNodes = apart.map((name) => result.get(name));
      expect(new Set(apartNodes).size).toBe(apart.length);
    }),
  );
});

test('a single container is refused only when it fits on no node', () => {
  fc.assert(
    fc.property(containers, candidates, ([first], nodes) => {
      const only = first ?? wish('c0');
      const result = tryPlan({ containers: [only], candidates: nodes, ...EASY });
      const needs = needsOf(only);
      const fits = nodes.some(
        ({ free }) =>
          needs.cpuMillis <= free.cpuMillis &&
          needs.memoryBytes <= free.memoryBytes &&
          needs.ssdBytes <= free.ssdBytes,
      );
      expect(result instanceof BotError).toBe(!fits);
    }),
  );
});

test('planning again with what was placed changes nothing', () => {
  fc.assert(
    fc.property(containers, candidates, (wishes, nodes) => {
      const first = tryPlan({ containers: wishes, candidates: nodes, ...EASY });
      fc.pre(!(first instanceof BotError));
      const turned = nodes.toReversed();
      const again = planPlacement({
        containers: wishes,
        candidates: turned,
        apart: [],
        stay: first,
      });
      expect([...again]).toEqual([...first]);
    }),
  );
});

test('containers are put together unless they shall be apart', () => {
  const nodes = [candidate('a', GiB), candidate('b', GiB)];
  const wishes = [wish('web'), wish('client')];
  const together = planPlacement({ containers: wishes, candidates: nodes, ...EASY });
  expect(new Set(together.values()).size).toBe(1);
  const apart = ['web', 'client'];
  const split = planPlacement({ containers: wishes, candidates: nodes, apart, stay: NOWHERE });
  expect(new Set(split.values()).size).toBe(2);
});

test('a container goes to the node that it names', () => {
  const nodes = [candidate('a', GiB), candidate('b', GiB)];
  const wishes = [wish('web', { node: 'bbbb' }), wish('db')];
  const placement = planPlacement({ containers: wishes, candidates: nodes, ...EASY });
  expect(placement.get('web')).toBe('b'.repeat(64));
  expect(placement.get('db')).toBe('a'.repeat(64));
});

test('what does not fit is refused with the numbers', () => {
  const nodes = [candidate('a', 1.2 * GiB), candidate('b', GiB)];
  const big = wish('web', { memoryBytes: 4 * GiB });
  expect(sentenceOf({ containers: [big], candidates: nodes, ...EASY })).toBe(
    'NO_ROOM container web asks for 4.0 GiB of memory; the node with most free has 1.2 GiB. ' +
      'Ask for less, or wait until something ends.',
  );
  const busy = wish('web', { cpuMillis: 3000 });
  expect(sentenceOf({ containers: [busy], candidates: nodes, ...EASY })).toContain(
    'asks for 3 processors; the node with most free has 2 processors',
  );
  const bound = wish('web', { node: 'bbbb', memoryBytes: 1.1 * GiB });
  expect(sentenceOf({ containers: [bound], candidates: nodes, ...EASY })).toContain(
    'container web asks for 1.1 GiB of memory; node bbbb has 1.0 GiB',
  );
});

test('what fits on no node as a whole is refused, though each part is free somewhere', () => {
  const small = { ...candidate('a', GiB), free: { ...candidate('a', GiB).free, cpuMillis: 100 } };
  const narrow = candidate('b', 32 * MiB);
  expect(sentenceOf({ containers: [wish('web')], candidates: [small, narrow], ...EASY })).toBe(
    'NO_ROOM container web asks for 64.0 MiB of memory, 0.5 processors, 1.0 MiB of storage; ' +
      'each is free on some node, but no node has all of it. ' +
      'Ask for less, or wait until something ends.',
  );
});

test('too few nodes for containers that shall be apart are refused with the number', () => {
  const apart = ['web', 'client'];
  const wishes = [wish('web'), wish('client')];
  const nodes = [candidate('a', GiB)];
  expect(sentenceOf({ containers: wishes, candidates: nodes, apart, stay: NOWHERE })).toBe(
    'NO_ROOM container web shall be apart from client, and no node is left for it; ' +
      '1 can be chosen from. Add nodes, or shorten `apart`.',
  );
});

test('a node that is unknown, or not clear, is refused', () => {
  const nodes = [candidate('a', GiB), { ...candidate('b', GiB), node: `aaaa${'c'.repeat(60)}` }];
  const ask = (node: string): string =>
    sentenceOf({ containers: [wish('web', { node })], candidates: nodes, ...EASY });
  expect(ask('ffff')).toMatch(/^NODE_UNKNOWN container web wants the node ffff, and no node/);
  expect(ask('aaaa')).toMatch(/^NODE_UNKNOWN .* 2 nodes begin so; write more of its id/);
  expect(sentenceOf({ containers: [wish('web')], candidates: [], ...EASY })).toMatch(
    /^NO_ROOM No node is online/,
  );
});
