import {
  type ExplainedItem,
  type Explanation,
  explanationSchema,
  KEY_LENGTH_MAX,
  WORDS_LENGTH_MAX,
} from '../../contract/explain/explanation.ts';
import { ANSWER_BYTES_MAX } from '../../contract/question.ts';
import type { SignedContract } from '../../contract/verify.ts';
import { containerIdOf } from '../../container/plan.ts';
import { utf8 } from '../../lib/bytes.ts';
import { znetIdOf } from '../../znet/address.ts';
import { type Key, keyOf, kindOf } from '../loop/graph.ts';
import type { View } from '../loop/reconcile.ts';
import type { WaitStep } from '../loop/step.ts';
import { haveWords, wantWords } from './words.ts';

export type Explained = {
  readonly grid: string;
  readonly node: string;
  readonly view: View;
  readonly nowMs: number;
  /** The wall's time of a moment of the loop's own clock. */
  readonly wallMs: (steadyMs: number) => number;
  readonly sinceMs: (wait: WaitStep) => number;
};

/** All that one contract has on this node, and what that leans on; for its tenant. */
export function explainContract(explained: Explained, contract: SignedContract): Uint8Array {
  const { want, have } = explained.view;
  const prefix = containerIdOf(contract.id, '');
  const znets = contract.workloads.flatMap(({ kind, name }) =>
    kind === 'znet' ? [`znet ${znetIdOf(contract.tenant, name)}`] : [],
  );
  const open = [
    ...znets,
    ...[...want.items.keys(), ...have.found.keys()].filter((key) => idOf(key).startsWith(prefix)),
  ];
  const own = new Set<Key>();
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (own.has(key)) continue;
    own.add(key);
    const item = want.items.get(key);
    if (item !== undefined) open.push(...item.deps, ...item.hopes);
  }
  return written(explained, (key) => own.has(key));
}

/**
 * The whole node, for its farmer: what is wanted of the machine and where it stands, with no name
 * that a tenant gave, and nothing of what a tenant's program said as it failed.
 */
export function explainNode(explained: Explained): Uint8Array {
  const { want, have } = explained.view;
  const aliases = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const key of [...want.items.keys(), ...have.found.keys()]) {
    const id = idOf(key);
    const head = TENANTS_OWN.exec(id)?.[1];
    if (head === undefined || aliases.has(id)) continue;
    const number = (counts.get(head) ?? 0) + 1;
    counts.set(head, number);
    aliases.set(id, `${head}-${number}`);
  }
  const hide = (text: string): string =>
    [...aliases].reduce((hidden, [id, alias]) => hidden.replaceAll(id, alias), text);
  return written(explained, () => true, hide);
}

/** `<16 digits of the contract>-<a name that its tenant chose>`. */
const TENANTS_OWN = /^([0-9a-f]{16})-/u;

type Hide = (text: string) => string;

function written(explained: Explained, isShown: (key: Key) => boolean, hide?: Hide): Uint8Array {
  const { grid, node, nowMs, view } = explained;
  const keys = new Set([...view.want.items.keys(), ...view.have.found.keys()]);
  const all = [...keys].filter(isShown).map((key) => explainItem(key, explained, hide));
  const items = all.toSorted((a, b) => rankOf(a) - rankOf(b));
  for (let room = items.length; ; room = Math.floor(room * 0.9)) {
    const shown = items.slice(0, room);
    const named = new Set(shown.flatMap(({ needs }) => needs));
    const facts = [...view.want.facts.values()]
      .filter(({ key }) => isShown(key) && named.has(key))
      .map(({ key, isMet, because }) => ({ key: cut(key), isMet, because: words(because) }));
    const leftOut = items.length - shown.length;
    const value: Explanation = { grid, node, atMs: nowMs, items: shown, facts, leftOut };
    const bytes = utf8(JSON.stringify(explanationSchema.parse(value)));
    if (bytes.length <= ANSWER_BYTES_MAX || room === 0) return bytes;
  }
}

/** What waits or has work to do first. */
function rankOf({ waits, steps }: ExplainedItem): number {
  if (waits.some(({ because }) => because !== 'hope')) return 0;
  if (steps.length > 0) return 1;
  return waits.length > 0 ? 2 : 3;
}

function explainItem(key: Key, explained: Explained, hide: Hide | undefined): ExplainedItem {
  const { view, wallMs, sinceMs } = explained;
  const shown = (text: string): string => (hide === undefined ? text : hide(text));
  const item = view.want.items.get(key);
  const thing = view.sight.things.get(key);
  const kind = kindOf(key);
  const own = view.steps.filter((step) => keyOf(step) === key);
  const isPrivate = hide !== undefined && TENANTS_OWN.test(idOf(key));
  return {
    key: cut(shown(key)),
    wants: item === undefined ? null : words(shown(wantWords(kind, item.spec))),
    has: thing === undefined ? '' : words(shown(haveWords(kind, thing.have))),
    needs: [...(item?.deps ?? []), ...(item?.hopes ?? [])]
      .slice(0, 64)
      .map((dep) => cut(shown(dep))),
    steps: own
      .filter((step) => step.do !== 'wait')
      .map((step) => ({
        do: step.do,
        because: words(shown(step.because)),
        after: step.after.slice(0, 64).map((id) => cut(shown(id))),
      })),
    waits: own
      .filter((step) => step.do === 'wait')
      .slice(0, 64)
      .map((step) => {
        const isFailure = step.because === 'back-off' || step.because === 'gave-up';
        const sentence =
          isPrivate && isFailure ? 'it failed; its tenant is told how' : step.sentence;
        return {
          because: step.because,
          sentence: words(shown(sentence)),
          sinceMs: Math.max(1, Math.round(wallMs(sinceMs(step)))),
          ...(step.untilMs === undefined
            ? {}
            : { untilMs: Math.max(1, Math.round(wallMs(step.untilMs))) }),
        };
      }),
  };
}

function idOf(key: Key): string {
  return key.slice(key.indexOf(' ') + 1);
}

function cut(key: string): string {
  return key.slice(0, KEY_LENGTH_MAX);
}

function words(text: string): string {
  return text.slice(0, WORDS_LENGTH_MAX);
}
