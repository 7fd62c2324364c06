import { type Graph, type Item, type Key, keyOf } from './graph.ts';
import { type Attempt, GONE } from './memory.ts';
import type { Found, Situation, WaitStep } from './step.ts';

/** Why something can't be done now. */
export type Hold = Omit<WaitStep, 'do' | 'kind' | 'id'>;

/** What was decided of everything before a single step is written down. */
export type Settlement = {
  /** Wanted things that need work and can't have it now. */
  readonly holds: ReadonlyMap<Key, Hold>;
  /** Wanted things that will be replaced in place. */
  readonly replaced: ReadonlySet<Key>;
  /** Wanted things that have to go first and come again, because what they use is replaced. */
  readonly remade: ReadonlySet<Key>;
};

/** Says for every wanted thing whether it can be worked on now. */
export function settle(situation: Situation): Settlement {
  const refused = new Map<Key, Hold>();
  // Each round refuses one replacement at least, so there are no more rounds than replacements.
  for (;;) {
    const holds = holdsOf(situation, refused);
    const replaced = new Set<Key>();
    const remade = new Set<Key>();
    let isSettled = true;
    for (const [key, { difference }] of situation.have.found) {
      if (difference?.change !== 'replace' || holds.has(key)) continue;
      const users = allUsersOf(key, situation);
      const stuck =
        hiddenUserHold(key, situation) ??
        busyUserHold(key, situation) ??
        stuckOf(users, situation, refused);
      if (stuck === undefined) {
        replaced.add(key);
        for (const user of users) if (situation.want.items.has(user)) remade.add(user);
      } else {
        refused.set(key, stuck);
        isSettled = false;
      }
    }
    if (isSettled) return { holds, replaced: replaced.difference(remade), remade };
  }
}

/** The things on the machine that use this one now. */
export function usersOf(key: Key, { want, have }: Situation): readonly Key[] {
  const thing = have.found.get(key);
  if (thing === undefined) return [];
  return [...have.found.values()].flatMap((user) =>
    keyOf(user) !== key && isUsing(user, thing, want) ? [keyOf(user)] : [],
  );
}

/** Why something of ours can't be removed at this moment, its users left aside. */
export function removalHold(key: Key, situation: Situation): Hold | undefined {
  const { have, memory } = situation;
  if (have.busy.has(key)) return BUSY;
  const hidden = hiddenUserHold(key, situation) ?? busyUserHold(key, situation);
  if (hidden !== undefined) return hidden;
  const attempt = memory.get(key);
  return attempt?.digest === GONE ? backOffOf(key, attempt, situation) : undefined;
}

/** What can't be seen may be using it. */
function hiddenUserHold(key: Key, situation: Situation): Hold | undefined {
  const { want, have } = situation;
  const later = want.kinds.slice(want.kinds.indexOf(have.found.get(key)?.kind ?? '') + 1);
  const hidden = later.find((kind) => have.unseen.has(kind));
  return hidden === undefined ? undefined : unseenHold(hidden, situation);
}

/** What is being made on it can't be seen yet. */
function busyUserHold(key: Key, { have }: Situation): Hold | undefined {
  for (const [user, needs] of have.busy) {
    if (user !== key && needs.includes(key)) {
      return { because: 'in-use', sentence: `${user} is being worked on and needs it` };
    }
  }
  return undefined;
}

function unseenHold(kind: string, { have }: Situation): Hold | undefined {
  const because = have.unseen.get(kind);
  if (because === undefined) return undefined;
  return { because: 'unseen', sentence: `${kind}s can't be read: ${because}` };
}

const BUSY: Hold = { because: 'busy', sentence: 'a step is at work on it' };

function isUsing(user: Found, thing: Found, want: Graph): boolean {
  if (user.uses !== undefined) return user.uses.includes(keyOf(thing));
  const item = want.items.get(keyOf(user));
  // What stands as it is wanted uses what the wish says; of anything else the worst is assumed.
  if (item !== undefined && user.difference?.change === 'none') {
    return item.deps.includes(keyOf(thing));
  }
  return want.kinds.indexOf(user.kind) > want.kinds.indexOf(thing.kind);
}

function allUsersOf(key: Key, situation: Situation): ReadonlySet<Key> {
  const users = new Set<Key>();
  const open = [key];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const user of usersOf(next, situation)) {
      if (user === key || users.has(user)) continue;
      users.add(user);
      open.push(user);
    }
  }
  return users;
}

/** Why one of these users can't be removed now and, if it is wanted, be made again at once. */
function stuckOf(
  users: ReadonlySet<Key>,
  situation: Situation,
  refused: ReadonlyMap<Key, Hold>,
): Hold | undefined {
  for (const user of users) {
    const item = situation.want.items.get(user);
    const judging: Judging = { situation, refused, memo: new Map() };
    const hold =
      removalHold(user, situation) ??
      (item === undefined
        ? undefined
        : isFine(user, situation)
          ? groundHold(item, judging)
          : makingHold(item, judging));
    if (hold !== undefined) {
      const until = hold.untilMs === undefined ? {} : { untilMs: hold.untilMs };
      return { because: 'in-use', sentence: `${user} uses it and can't go now`, ...until };
    }
  }
  return undefined;
}

/** As it is wanted, and left so: a step under way may be about to change it. */
function isFine(key: Key, { have }: Situation): boolean {
  return !have.busy.has(key) && have.found.get(key)?.difference?.change === 'none';
}

function holdsOf(situation: Situation, refused: ReadonlyMap<Key, Hold>): Map<Key, Hold> {
  const judging: Judging = { situation, refused, memo: new Map() };
  const holds = new Map<Key, Hold>();
  for (const key of situation.want.items.keys()) {
    const hold = holdOf(key, judging);
    if (hold !== undefined) holds.set(key, hold);
  }
  return holds;
}

type Judging = {
  readonly situation: Situation;
  readonly refused: ReadonlyMap<Key, Hold>;
  readonly memo: Map<Key, Hold | undefined>;
};

function holdOf(key: Key, judging: Judging): Hold | undefined {
  if (judging.memo.has(key)) return judging.memo.get(key);
  // Until it is judged it counts as held, which is what an item that depends on itself stays.
  judging.memo.set(key, { because: 'item', sentence: 'it depends on itself' });
  const item = judging.situation.want.items.get(key);
  const isDone = isFine(key, judging.situation);
  const hold = item === undefined ? UNKNOWN : isDone ? undefined : makingHold(item, judging);
  judging.memo.set(key, hold);
  return hold;
}

const UNKNOWN: Hold = { because: 'item', sentence: 'nothing says how to make it' };

function makingHold(item: Item, judging: Judging): Hold | undefined {
  const hold = groundHold(item, judging);
  if (hold !== undefined) return hold;
  const key = keyOf(item);
  const attempt = judging.situation.memory.get(key);
  if (attempt?.digest !== item.digest) return undefined;
  return backOffOf(key, attempt, judging.situation);
}

/** Everything but its own tries. */
function groundHold(item: Item, judging: Judging): Hold | undefined {
  const { have } = judging.situation;
  const key = keyOf(item);
  const unseen = unseenHold(item.kind, judging.situation);
  if (unseen !== undefined) return unseen;
  if (have.busy.has(key)) return BUSY;
  const refused = judging.refused.get(key);
  if (refused !== undefined) return refused;
  const missing = item.deps.flatMap((dep) => missingOf(dep, judging));
  const first = missing[0];
  if (first === undefined) return undefined;
  return { ...first, sentence: missing.map(({ sentence }) => sentence).join('; ') };
}

function missingOf(dep: Key, judging: Judging): readonly Hold[] {
  const fact = judging.situation.want.facts.get(dep);
  if (fact !== undefined) {
    if (fact.isMet) return [];
    return [{ because: 'fact', sentence: `${dep}: ${fact.because}` }];
  }
  const hold = holdOf(dep, judging);
  return hold === undefined ? [] : [{ because: 'item', sentence: `${dep} (${hold.sentence})` }];
}

function backOffOf(key: Key, attempt: Attempt, { have, nowMs }: Situation): Hold | undefined {
  if (nowMs >= attempt.nextAtMs) return undefined;
  const how = attempt.failure ?? have.found.get(key)?.difference?.because ?? 'it did not stay';
  return {
    because: attempt.gaveUp ? 'gave-up' : 'back-off',
    sentence: `${how} (try ${attempt.tries})`,
    untilMs: attempt.nextAtMs,
  };
}
