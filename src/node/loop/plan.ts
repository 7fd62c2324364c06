import { type Item, type Key, keyOf } from './graph.ts';
import { removalHold, type Settlement, settle, usersOf } from './hold.ts';
import { type Situation, type Step, stepId, type WaitStep, type WorkStep } from './step.ts';

/**
 * What to do so that the machine becomes what is wanted; pure. Every step says why and after which
 * others: users go before what they use, and come after what they need. What can't be done yet is a
 * wait step; it holds back what depends on it and nothing else.
 */
export function plan(situation: Situation): readonly Step[] {
  const settlement = settle(situation);
  const changes = changesOf(situation, settlement);
  const removals = removalsOf(situation, settlement, changes);
  const work = [...removals.values(), ...changes.values()].filter((step) => step.do !== 'wait');
  return [...inOrder(work), ...waitsOf(situation, settlement, removals)];
}

/** Creates, updates and replacements, by the key of their thing. */
function changesOf(situation: Situation, settlement: Settlement): Map<Key, WorkStep> {
  const { want } = situation;
  const kinds = new Map<Key, WorkStep['do']>();
  for (const key of want.items.keys()) {
    const doing = doingOf(key, situation, settlement);
    if (doing !== undefined) kinds.set(key, doing);
  }
  const changes = new Map<Key, WorkStep>();
  for (const [key, doing] of kinds) {
    const item = want.items.get(key);
    if (item === undefined) continue;
    const after = item.deps.flatMap((dep) => {
      const first = kinds.get(dep);
      return first === undefined ? [] : [`${first} ${dep}`];
    });
    if (settlement.remade.has(key)) after.push(`remove ${key}`);
    if (doing === 'replace') {
      after.push(...usersOf(key, situation).map((user) => `remove ${user}`));
    }
    const because = reasonOf(item, situation, settlement);
    changes.set(key, { do: doing, kind: item.kind, id: item.id, because, after });
  }
  return changes;
}

function doingOf(
  key: Key,
  { have }: Situation,
  { holds, remade }: Settlement,
): 'create' | 'update' | 'replace' | undefined {
  if (holds.has(key)) return undefined;
  const change = have.found.get(key)?.difference?.change;
  if (remade.has(key) || change === undefined) return 'create';
  return change === 'none' ? undefined : change;
}

function reasonOf(item: Item, { have }: Situation, { remade }: Settlement): string {
  const key = keyOf(item);
  if (remade.has(key)) return 'its ground is replaced';
  return have.found.get(key)?.difference?.because ?? 'missing';
}

/** Removals of what nobody wants, and of what has to be made anew, by the key of their thing. */
function removalsOf(
  situation: Situation,
  settlement: Settlement,
  changes: ReadonlyMap<Key, WorkStep>,
): Map<Key, Step> {
  const removals = new Map<Key, Step>();
  const judge = (key: Key): Step => {
    const known = removals.get(key);
    if (known !== undefined) return known;
    const found = situation.have.found.get(key);
    const thing = { kind: found?.kind ?? '', id: found?.id ?? '' };
    const wait = (hold: Omit<WaitStep, 'do' | 'kind' | 'id'>): Step => ({
      do: 'wait',
      ...thing,
      ...hold,
    });
    // Until it is judged it counts as held, so a ring of users ends here.
    removals.set(key, wait({ because: 'in-use', sentence: 'it uses itself' }));
    const hold = removalHold(key, situation);
    const after: string[] = [];
    let blocker: Key | undefined;
    for (const user of usersOf(key, situation)) {
      const way = wayOut(user, key);
      if (way === undefined) blocker ??= user;
      else after.push(way);
    }
    const isRemade = settlement.remade.has(key);
    const because = isRemade ? 'its ground is replaced' : 'not in any contract';
    const step: Step =
      hold !== undefined
        ? wait(hold)
        : blocker !== undefined
          ? wait({ because: 'in-use', sentence: `${blocker} still uses it` })
          : { do: 'remove', ...thing, because, after };
    removals.set(key, step);
    return step;
  };
  /** The step after which `user` no longer uses `key`. */
  const wayOut = (user: Key, key: Key): string | undefined => {
    const item = situation.want.items.get(user);
    if (item === undefined || settlement.remade.has(user)) {
      const step = judge(user);
      return step.do === 'wait' ? undefined : stepId(step);
    }
    const change = changes.get(user);
    return change === undefined || item.deps.includes(key) ? undefined : stepId(change);
  };
  for (const [key, found] of situation.have.found) {
    if (found.difference === null || settlement.remade.has(key)) judge(key);
  }
  return removals;
}

function waitsOf(
  { want }: Situation,
  { holds }: Settlement,
  removals: ReadonlyMap<Key, Step>,
): readonly Step[] {
  const waits: Step[] = [...removals.values()].filter((step) => step.do === 'wait');
  for (const [key, item] of want.items) {
    const { kind, id } = item;
    const hold = holds.get(key);
    if (hold !== undefined) waits.push({ do: 'wait', kind, id, ...hold });
    for (const hope of item.hopes) {
      const fact = want.facts.get(hope);
      if (fact === undefined || fact.isMet) continue;
      const sentence = `${hope}: ${fact.because}`;
      waits.push({ do: 'wait', kind, id, because: 'hope', sentence });
    }
  }
  return waits;
}

/** Steps so that each stands behind those it comes after, else as they came. */
function inOrder(steps: readonly WorkStep[]): readonly WorkStep[] {
  const byId = new Map(steps.map((step) => [stepId(step), step]));
  const seen = new Set<WorkStep>();
  const ordered: WorkStep[] = [];
  const visit = (step: WorkStep): void => {
    if (seen.has(step)) return;
    seen.add(step);
    for (const before of step.after) {
      const first = byId.get(before);
      if (first !== undefined) visit(first);
    }
    ordered.push(step);
  };
  for (const step of steps) visit(step);
  return ordered;
}
