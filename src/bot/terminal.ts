import { paint } from '../lib/colour.ts';
import { formatDuration, SECOND_MS } from '../lib/units.ts';

/** Where a command writes: answers to `out`, everything about the way there to `err`. */
export type Terminal = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `err` is a person's screen. */
  readonly isErrScreen: boolean;
  /** How wide the screen is: a line that is written over must not break. */
  readonly columns: number;
  /** Off where there is no screen, and where NO_COLOR is set (no-color.org). */
  readonly hasColour: boolean;
};

/** What a stranger sent, safe to show: no control character reaches the screen. */
export function plain(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}/gu, '\uFFFD');
}

/** Columns padded to their widest cell; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** As much of an id as people need to tell it from others. */
export function shortId(id: string): string {
  return id.slice(0, 10);
}

const PROGRESS_AFTER_MS = 2 * SECOND_MS;
const TICK_MS = 500;
/** Between two lines of progress in a file, where nothing can be written over. */
const REPEAT_AFTER_MS = 5 * SECOND_MS;

export type Progress = Disposable & {
  /** What is being waited for now. */
  readonly say: (what: string) => void;
  /** Takes the progress line away so that another line can be written. */
  readonly clear: () => void;
};

/** A line on `err` that tells, after two seconds, what is being waited for and for how long. */
export function openProgress(terminal: Terminal, nowMs: () => number, first: string): Progress {
  const startedMs = nowMs();
  let what = first;
  let isShown = false;
  let told = '';
  let toldMs = -Infinity;
  const clear = (): void => {
    if (isShown) terminal.err('\r\u001B[2K');
    isShown = false;
  };
  const tick = (): void => {
    const elapsedMs = nowMs() - startedMs;
    if (elapsedMs < PROGRESS_AFTER_MS) return;
    const line = `${formatDuration(elapsedMs).padStart(8)}  ${what}`;
    if (terminal.isErrScreen) {
      const short = line.slice(0, terminal.columns - 1);
      terminal.err(`\r\u001B[2K${paint(terminal, 'dim', short)}`);
      isShown = true;
    } else if (told !== what && nowMs() - toldMs >= REPEAT_AFTER_MS) {
      terminal.err(`${line}\n`);
      told = what;
      toldMs = nowMs();
    }
  };
  const timer = setInterval(tick, TICK_MS);
  return {
    say: (next) => {
      what = next;
    },
    clear,
    [Symbol.dispose]: () => {
      clearInterval(timer);
      clear();
    },
  };
}
