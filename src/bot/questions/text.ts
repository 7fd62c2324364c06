import type { ExplainedItem, Explanation } from '../../contract/explain/explanation.ts';
import { formatDuration } from '../../lib/units.ts';
import { plain } from '../terminal.ts';
import { stateOf } from './graph.ts';

/** An explanation for people: what waits first, then what is being done, then what stands. */
export function explanationText({ items, facts, atMs, leftOut }: Explanation): string {
  const waiting = items.filter((item) => stateOf(item) === 'waits');
  const working = items.filter((item) => stateOf(item) === 'works');
  const fine = items.filter((item) => stateOf(item) === 'fine');
  const unmet = facts.filter(({ isMet }) => !isMet);
  const sections = [
    ['waits', waiting.map((item) => itemText(item, atMs))],
    ['is being done', working.map((item) => itemText(item, atMs))],
    ['stands as it is wanted', fine.map((item) => itemText(item, atMs))],
    ['can only be waited for', unmet.map(({ key, because }) => `  ${key}: ${because}\n`)],
  ] as const;
  const text = sections.flatMap(([title, lines]) =>
    lines.length === 0 ? [] : [`What ${title}:\n${lines.join('')}`],
  );
  if (leftOut > 0) text.push(`${leftOut} more things had no room; nothing is to be done there.\n`);
  if (text.length === 0) text.push('Nothing is wanted here, and nothing is there.\n');
  return plain(shortened(text.join('\n')));
}

function itemText({ key, wants, has, steps, waits }: ExplainedItem, atMs: number): string {
  const want = wants === null ? 'is wanted by nobody any more' : `wants: ${wants}`;
  const lines = [
    `  ${key}`,
    `    ${want}; has: ${has === '' ? 'nothing' : has}`,
    ...steps.map(({ do: doing, because, after }) => {
      const order = after.length === 0 ? '' : `, after ${after.join(' and ')}`;
      return `    next: ${doing}, because: ${because}${order}`;
    }),
    ...waits.map(({ because, sentence, sinceMs, untilMs }) => {
      const forText = `for ${formatDuration(Math.max(0, atMs - sinceMs))}`;
      const moreMs = untilMs === undefined ? undefined : Math.max(0, untilMs - atMs);
      const more = moreMs === undefined ? '' : `, again in ${formatDuration(moreMs)}`;
      return `    ${WAIT_WORDS[because]} ${forText}${more}: ${sentence}`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}

const WAIT_WORDS = {
  fact: 'waits',
  item: 'waits',
  'back-off': 'rests',
  'gave-up': 'given up',
  unseen: 'not touched',
  busy: 'at work',
  'in-use': 'in use',
  hope: 'would be better with',
} satisfies Record<ExplainedItem['waits'][number]['because'], string>;

function shortened(text: string): string {
  return text.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/gu, '$1');
}
