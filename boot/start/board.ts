import { stripVTControlCharacters } from 'node:util';
import { paint } from '../../src/lib/colour.ts';
import { formatDuration } from '../../src/lib/units.ts';
import type { GridEvent } from '../grid/event.ts';

export type Row = {
  readonly subject: string;
  readonly state: 'waiting' | GridEvent['state'];
  readonly text: string;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
};

/** One row for each part of the grid, in the order in which they come up. */
export type Board = { readonly startedMs: number; readonly rows: readonly Row[] };

/** A board on which nothing has begun. */
export function emptyBoard(subjects: readonly string[], nowMs: number): Board {
  const rows = subjects.map((subject) => row(subject));
  return { startedMs: nowMs, rows };
}

function row(subject: string): Row {
  return { subject, state: 'waiting', text: '', startedMs: undefined, endedMs: undefined };
}

/** The board after an event; a part that nobody announced gets a row at the end. */
export function withEvent(board: Board, event: GridEvent, nowMs: number): Board {
  const isKnown = board.rows.some(({ subject }) => subject === event.subject);
  const rows = isKnown ? board.rows : [...board.rows, row(event.subject)];
  return {
    ...board,
    rows: rows.map((old) => {
      if (old.subject !== event.subject) return old;
      const endedMs = event.state === 'running' ? undefined : nowMs;
      const { state, text } = event;
      return { ...old, state, text, startedMs: old.startedMs ?? nowMs, endedMs };
    }),
  };
}

export type Look = {
  readonly columns: number;
  readonly hasColour: boolean;
  readonly nowMs: number;
};

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const SPIN_MS = 100;
const SUBJECT_COLUMNS = 12;
const TIME_COLUMNS = 12;

/** The board as lines of at most `columns` columns, so that none wraps and all can be replaced. */
export function drawBoard(board: Board, look: Look): string[] {
  return board.rows.map((each) => drawRow(each, look));
}

function drawRow({ subject, state, text, startedMs, endedMs }: Row, look: Look): string {
  const elapsed =
    startedMs === undefined ? '' : formatDuration((endedMs ?? look.nowMs) - startedMs);
  const textColumns = Math.max(0, look.columns - SUBJECT_COLUMNS - TIME_COLUMNS - 5);
  const name = subject.padEnd(SUBJECT_COLUMNS);
  const told = fit(text, textColumns).padEnd(textColumns);
  const time = elapsed.padStart(TIME_COLUMNS);
  const line = ` ${markOf(state, look)} ${name} ${told}${time}`;
  return state === 'waiting' ? paint(look, 'dim', line.trimEnd()) : line.trimEnd();
}

function markOf(state: Row['state'], look: Look): string {
  if (state === 'done') return paint(look, 'green', '✔');
  if (state === 'failed') return paint(look, 'red', '✘');
  if (state === 'waiting') return '·';
  const turn = Math.floor(look.nowMs / SPIN_MS) % SPINNER.length;
  return paint(look, 'yellow', SPINNER[turn] ?? '');
}

/** A text on one line of at most so many columns, cut where it is longer. */
export function fit(text: string, columns: number): string {
  // What a guest's console said is shown, never obeyed.
  const line = stripVTControlCharacters(text).replaceAll(/\p{Cc}/gu, ' ');
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

/** One event as a line of its own, for where nothing can be replaced: a pipe, a log. */
export function plainLine(board: Board, event: GridEvent, nowMs: number): string {
  const sinceStart = formatDuration(nowMs - board.startedMs).padStart(TIME_COLUMNS);
  const mark = { running: ' ', done: '✔', failed: '✘' }[event.state];
  return `${sinceStart}  ${mark} ${event.subject.padEnd(SUBJECT_COLUMNS)} ${fit(event.text, 500)}`;
}
