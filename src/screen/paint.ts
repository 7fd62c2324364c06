import { COLUMNS, type Frame, ROWS, type Span, type Tone } from './spec.ts';

/** What a terminal is told for each tone (console_codes(4)). */
const CODES = {
  title: '1;37;44',
  label: '36',
  strong: '1;37',
  good: '1;32',
  wait: '1;33',
  bad: '1;31',
  code: '1;37;40',
} as const satisfies Record<Tone, string>;

/** UTF-8, no cursor, no new row at the end of one, never dark for want of a key. */
export const TAKE_SCREEN = '\u{1b}%G\u{1b}[?25l\u{1b}[?7l\u{1b}[9;0]\u{1b}[0m\u{1b}[2J';

/**
 * What puts a frame in the middle of a terminal, whatever stood there: each row is written whole,
 * so that nothing is dark for a moment, and a kernel's message is gone with the next frame.
 */
export function paintOf(
  frame: Frame,
  size: { readonly columns: number; readonly rows: number },
): string {
  const left = Math.max(0, Math.floor((size.columns - COLUMNS) / 2));
  const top = Math.max(0, Math.floor((size.rows - ROWS) / 2));
  return Array.from({ length: size.rows }, (_, row) => {
    const line = frame[row - top];
    const text = line === undefined ? '' : ' '.repeat(left) + line.map(toned).join('');
    const rest = size.columns > COLUMNS || line === undefined ? '\u{1b}[K' : '';
    return `\u{1b}[${row + 1};1H\u{1b}[0m${text}${rest}`;
  }).join('');
}

function toned({ text, tone }: Span): string {
  return tone === undefined ? text : `\u{1b}[${CODES[tone]}m${text}\u{1b}[0m`;
}
