import { paint } from '../../src/lib/colour.ts';
import type { GridEvent, OnEvent } from '../grid/event.ts';
import { drawBoard, emptyBoard, fit, plainLine, withEvent } from './board.ts';

/** The terminal that the view is drawn on. */
export type Output = {
  readonly write: (text: string) => void;
  /** `undefined` where there is no screen. */
  readonly columns: () => number | undefined;
  readonly hasColour: boolean;
  readonly nowMs: () => number;
};

export type Screen = Disposable & {
  readonly show: OnEvent;
  /** Text of its own between what is drawn before and after it. */
  readonly say: (text: string) => void;
  readonly paint: (how: 'bold' | 'dim' | 'red' | 'green', text: string) => string;
  /** Marks what still went on as failed. */
  readonly fail: () => void;
  /** Leaves the board as it stands and begins a new one. */
  readonly begin: (subjects: readonly string[]) => void;
};

const REDRAW_MS = 125;
const HIDE_CURSOR = '\u001B[?25l';
const SHOW_CURSOR = '\u001B[?25h';

/** Draws what happens, in place on a screen and line by line elsewhere. */
export function openScreen(output: Output): Screen {
  let board = emptyBoard([], output.nowMs());
  let linesDrawn = 0;
  const isScreen = output.columns() !== undefined;

  const erase = (): string => (linesDrawn === 0 ? '' : `\u001B[${linesDrawn}F\u001B[0J`);
  const draw = (): void => {
    if (!isScreen) return;
    const look = { ...output, columns: output.columns() ?? 80, nowMs: output.nowMs() };
    const lines = drawBoard(board, look);
    output.write(`${HIDE_CURSOR}${erase()}${lines.map((line) => `${line}\n`).join('')}`);
    linesDrawn = lines.length;
  };
  const freeze = (): void => {
    draw();
    linesDrawn = 0;
  };
  const timer = isScreen ? setInterval(draw, REDRAW_MS) : undefined;

  const show = (event: GridEvent): void => {
    board = withEvent(board, event, output.nowMs());
    if (isScreen) draw();
    else output.write(`${plainLine(board, event, output.nowMs())}\n`);
  };
  return {
    show,
    say: (text) => {
      freeze();
      board = emptyBoard([], board.startedMs);
      output.write(text);
    },
    paint: (how, text) => paint(output, how, text),
    fail: () => {
      for (const { subject, state, text } of board.rows) {
        if (state === 'running') show({ subject, state: 'failed', text });
      }
    },
    begin: (subjects) => {
      freeze();
      board = emptyBoard(subjects, output.nowMs());
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
      freeze();
      if (isScreen) output.write(SHOW_CURSOR);
    },
  };
}

/** A block of text that came from elsewhere, set apart and made harmless. */
export function quote(text: string, columns: number): string {
  const lines = text.trimEnd().split('\n');
  return lines.map((line) => `    ${fit(line, columns)}\n`).join('');
}
