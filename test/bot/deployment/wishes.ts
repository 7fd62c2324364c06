import fc from 'fast-check';
import type { ContainerWish } from '../../../src/bot/deployment/spec.ts';
import type { Candidate } from '../../../src/bot/deployment/plan.ts';
import { GiB, MiB } from '../../../src/lib/units.ts';

/** A container that asks for little; what a test is about is given. */
export function wish(name: string, over: Partial<ContainerWish> = {}): ContainerWish {
  return {
    name,
    image: { sha256: 'ab'.repeat(32), lengthBytes: MiB, sources: ['http://192.0.2.1/a.erofs'] },
    args: ['/bin/app'],
    env: {},
    secrets: [],
    cpuMillis: 500,
    memoryBytes: 64 * MiB,
    network: null,
    node: null,
    uid: 65534,
    volumes: [],
    ...over,
  };
}

/** A node with two processors, `memoryBytes` and 8 GiB of storage left. */
export function candidate(digit: string, memoryBytes: number): Candidate {
  const free = { cpuMillis: 2000, memoryBytes, ssdBytes: 8 * GiB, hddBytes: 0 };
  return { node: digit.repeat(64), free };
}

const nodeId = fc.integer({ min: 0, max: 15 }).map((n) => n.toString(16).repeat(64));

/** Nodes of any size, each with an id of its own. */
export const candidates = fc.uniqueArray(
  fc.record({
    node: nodeId,
    free: fc.record({
      cpuMillis: fc.integer({ min: 0, max: 4000 }),
      memoryBytes: fc.integer({ min: 0, max: 2 * GiB }),
      ssdBytes: fc.integer({ min: 0, max: 64 * MiB }),
      hddBytes: fc.integer({ min: 0, max: 64 * MiB }),
    }),
  }),
  { selector: ({ node }) => node, minLength: 1, maxLength: 6 },
);

/** Containers of any size, on up to three networks, each with a name of its own. */
export const containers = fc
  .array(
    fc.record({
      cpuMillis: fc.integer({ min: 10, max: 3000 }),
      memoryBytes: fc.integer({ min: 8 * MiB, max: GiB }),
      network: fc.constantFrom(null, 'net', 'front', 'back'),
      lengthBytes: fc.integer({ min: 4096, max: 16 * MiB }),
    }),
    { minLength: 1, maxLength: 10 },
  )
  .map((list) =>
    list.map(({ lengthBytes, ...over }, i) => {
      const plain = wish(`c${i}`, over);
      return { ...plain, image: { ...plain.image, lengthBytes } };
    }),
  );
