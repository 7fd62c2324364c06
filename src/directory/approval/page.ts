import { formatBytes } from '../../lib/units.ts';
import type { FarmAnswer, NodeAnswer } from '../../sdk/api.ts';

/** What browsers may do with the page: show it. It has no script, and nothing from elsewhere. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;

const STYLE = `
body { font: 16px/1.5 ui-monospace, monospace; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #eee; background: #111 }
h1 { font-size: 1.3rem } .wait { color: #fd5 } .good { color: #6f6 }
dt { color: #5bb } dd { margin: 0 0 .6rem 0; overflow-wrap: anywhere }
pre { background: #000; color: #fff; padding: .8rem; overflow-wrap: anywhere;
  white-space: pre-wrap }
`;

/** A node for people: what it says of itself, and the one command that approves it. */
export function nodePage(node: NodeAnswer, farm: FarmAnswer | undefined, nowMs: number): string {
  const { id, capacity, heartbeat } = node;
  const isWaiting = node.farm === null;
  const seen =
    heartbeat === null ? 'never' : `${Math.round((nowMs - heartbeat.lastSeenMs) / 1000)} s ago`;
  const rows = [
    ['Node', id],
    ['Farm', farm === undefined ? 'none yet' : `${farm.name} (${farm.id})`],
    ['Offers', `${capacity.cru} cores, ${formatBytes(capacity.mruBytes)} of memory`],
    ['SSD', formatBytes(capacity.sruBytes)],
    ['Heard of', seen],
  ] as const;
  const head = isWaiting
    ? '<h1 class="wait">This node waits for its farmer</h1>'
    : '<h1 class="good">This node has joined its farm</h1>';
  const list = rows.map(([name, value]) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`).join('\n');
  const next = isWaiting
    ? '<p>Is this the id on the screen of your machine? Then approve it, on the machine that has ' +
      `your keys:</p>\n<pre>zos farm approve ${escaped(id)}</pre>`
    : '<p>Nothing is left to do. What it does is shown by:</p>\n' +
      `<pre>zos nodes show ${escaped(id)}</pre>`;
  return pageOf(`Node ${id.slice(0, 10)}`, `${head}\n<dl>\n${list}\n</dl>\n${next}`);
}

/** What is shown when no node, or more than one, is meant. */
export function missingPage(): string {
  return pageOf(
    'No such node',
    '<h1>No such node has registered here</h1>\n<p>Wait until its screen says that it waits for ' +
      'its farmer, and scan the code again.</p>',
  );
}

function pageOf(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

function escaped(text: string): string {
  const named: Readonly<Record<string, string>> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };
  return text.replaceAll(/[&<>"]/gu, (character) => `&${named[character] ?? 'amp'};`);
}
