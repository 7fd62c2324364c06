import type { Driver } from '../../lib/driver.ts';
import { sentenceOf } from '../../lib/errors.ts';
import { type Graph, type Key, keyOf } from './graph.ts';
import type { Found, Have } from './step.ts';
import { withDeadline } from './deadline.ts';

/** A driver as the loop sees it, whatever its spec: the loop hands on only what it gave out. */
export type LoopDriver = Driver<unknown, unknown> & {
  /** What a thing uses now, where its label says so. */
  readonly usesOf?: (have: unknown) => readonly Key[] | undefined;
};

/** Takes a driver into the loop; without `usesOf` a thing is taken to use all kinds before it. */
export function loopDriver<Spec, Have>(
  driver: Driver<Spec, Have>,
  usesOf?: (have: Have) => readonly Key[] | undefined,
): LoopDriver {
  return { ...driver, ...(usesOf === undefined ? {} : { usesOf }) } as unknown as LoopDriver;
}

/** Of kinds whose things stand by themselves. */
export function usesNothing(): readonly Key[] {
  return [];
}

export type Drivers = ReadonlyMap<string, LoopDriver>;

/** What the drivers saw, before anybody says what is wanted. */
export type Sight = {
  readonly things: ReadonlyMap<Key, { kind: string; id: string; have: unknown }>;
  readonly unseen: ReadonlyMap<string, string>;
};

export type Look = {
  /** The kinds to look at; of others the last sight still counts. */
  readonly kinds: ReadonlySet<string>;
  readonly last: Sight;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
};

/** Before anything was looked at. */
export const NO_SIGHT: Sight = { things: new Map(), unseen: new Map() };

/** Kinds side by side, each within the deadline; one that can't be read is named, not fatal. */
export async function lookAround(drivers: Drivers, options: Look): Promise<Sight> {
  const { kinds, last } = options;
  const things = new Map<Key, { kind: string; id: string; have: unknown }>();
  for (const [key, thing] of last.things) if (!kinds.has(thing.kind)) things.set(key, thing);
  const unseen = new Map([...last.unseen].filter(([kind]) => !kinds.has(kind)));
  const looking = [...drivers.values()].filter(({ kind }) => kinds.has(kind));
  await Promise.all(
    looking.map(async ({ kind, observe }) => {
      try {
        const { result } = withDeadline(observe, options);
        for (const [id, have] of await result) things.set(keyOf({ kind, id }), { kind, id, have });
      } catch (error) {
        unseen.set(kind, sentenceOf(error));
      }
    }),
  );
  return { things, unseen };
}

/** What is there as the planner takes it: each thing with its difference from what is wanted. */
export function haveOf(
  sight: Sight,
  want: Graph,
  world: { readonly drivers: Drivers; readonly busy: Have['busy'] },
): Have {
  const found = new Map<Key, Found>();
  for (const [key, { kind, id, have }] of sight.things) {
    const driver = world.drivers.get(kind);
    if (driver === undefined) continue;
    const item = want.items.get(key);
    const difference = item === undefined ? null : driver.compare(item.spec, have);
    found.set(key, { kind, id, difference, uses: driver.usesOf?.(have) });
  }
  return { found, unseen: sight.unseen, busy: world.busy };
}
