/**
 * How V8 runs on a node, which has two of these programs that do little: memory counts more than
 * speed, threads take some, the heap grows in small steps, and what a start left in it can be given
 * back (`src/host/usage/heap.ts`). V8's own way of giving back goes through the whole heap after
 * every other look at the machine, which is a third of what an agent at rest takes.
 */
export const LEAN: readonly string[] = [
  '--optimize-for-size',
  '--no-memory-reducer',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--expose-gc',
];
