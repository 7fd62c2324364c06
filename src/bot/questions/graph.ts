import type { ExplainedItem, Explanation } from '../../contract/explain/explanation.ts';

/** In which words a graph is printed. */
export const GRAPH_FORMS = ['dot', 'mermaid'] as const;
export type GraphForm = (typeof GRAPH_FORMS)[number];

type Node = { readonly key: string; readonly state: State; readonly isFact: boolean };
type State = 'fine' | 'works' | 'waits';

const COLOURS = { fine: '#c8e6c9', works: '#bbdefb', waits: '#ffe0b2' } satisfies Record<
  State,
  string
>;

/**
 * The graph of what a node wants: an arrow goes from a thing to what it needs. Facts, which the
 * node can only wait for, are drawn as ellipses; what is missing for a thing colours it.
 */
export function printGraph(explanation: Explanation, form: GraphForm): string {
  const nodes = nodesOf(explanation);
  const edges = explanation.items.flatMap(({ key, needs }) =>
    needs.map((need) => [key, need] as const),
  );
  return form === 'dot' ? dotOf(nodes, edges) : mermaidOf(nodes, edges);
}

function nodesOf({ items, facts }: Explanation): Node[] {
  const known = new Map<string, Node>();
  for (const item of items)
    known.set(item.key, { key: item.key, state: stateOf(item), isFact: false });
  for (const { key, isMet } of facts) {
    known.set(key, { key, state: isMet ? 'fine' : 'waits', isFact: true });
  }
  // What had no room in the answer is fine, or it would have stood first.
  for (const need of items.flatMap(({ needs }) => needs)) {
    if (!known.has(need)) known.set(need, { key: need, state: 'fine', isFact: false });
  }
  return [...known.values()];
}

/** How a thing stands: a hope that is not met does not keep it from being fine. */
export function stateOf({ steps, waits }: ExplainedItem): State {
  if (waits.some(({ because }) => because !== 'hope' && because !== 'busy')) return 'waits';
  return steps.length > 0 || waits.some(({ because }) => because === 'busy') ? 'works' : 'fine';
}

type Edges = readonly (readonly [string, string])[];

function dotOf(nodes: readonly Node[], edges: Edges): string {
  const lines = [
    'digraph node {',
    '  rankdir=LR;',
    '  node [style=filled, fontname="sans-serif"];',
    ...nodes.map(({ key, state, isFact }) => {
      const shape = isFact ? 'ellipse' : 'box';
      return `  "${quoted(key)}" [shape=${shape}, fillcolor="${COLOURS[state]}"];`;
    }),
    ...edges.map(([from, to]) => `  "${quoted(from)}" -> "${quoted(to)}";`),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

function mermaidOf(nodes: readonly Node[], edges: Edges): string {
  const names = new Map(nodes.map(({ key }, at) => [key, `n${at}`]));
  const lines = [
    'flowchart LR',
    ...nodes.map(({ key, state, isFact }) => {
      const text = `"${quoted(key)}"`;
      return `  ${names.get(key) ?? ''}${isFact ? `([${text}])` : `[${text}]`}:::${state}`;
    }),
    ...edges.map(([from, to]) => `  ${names.get(from) ?? ''} --> ${names.get(to) ?? ''}`),
    ...Object.entries(COLOURS).map(([state, colour]) => `  classDef ${state} fill:${colour}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** Ids are long: the first digits tell them apart, and nothing in a key ends its quotes. */
function quoted(key: string): string {
  return key.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/gu, '$1').replaceAll(/[^\w .:-]/gu, '_');
}
