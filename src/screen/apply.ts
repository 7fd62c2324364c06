import { closeSync, constants, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { WriteStream } from 'node:tty';
import { frameOf, textOf } from './frame.ts';
import { paintOf, TAKE_SCREEN } from './paint.ts';
import { COLUMNS, ROWS, type ScreenState } from './spec.ts';

/** The terminal that the machine's display shows, on VGA text and on a frame buffer alike. */
const TERMINAL = '/dev/tty0';
const CONSOLES = '/sys/class/tty/console/active';
const LOG_LEVELS = '/proc/sys/kernel/printk';
const LOOK_MS = 1000;
/** Whatever else wrote on it is painted over after so many looks. */
const REPAINT_LOOKS = 5;
/** The serial console gets the whole screen as text when its first words change, and so often. */
const TELL_LOOKS = 600;

/**
 * Takes the machine's display and keeps it at the state, until disposed of; the last frame stays.
 * On a machine without a display it does nothing. `tell` is given the screen as lines of text.
 */
export function openScreen(parts: {
  readonly state: () => ScreenState;
  readonly tell: (line: string) => void;
}): Disposable {
  const terminal = openTerminal();
  let painted = '';
  let told = '';
  let looks = 0;
  const look = (): void => {
    const state = parts.state();
    const frame = frameOf(state);
    const text = textOf(frame);
    const head =
      text
        .split('\n')[2]
        ?.slice(0, COLUMNS / 2)
        .trim() ?? '';
    const isDue = painted !== text || looks % REPAINT_LOOKS === 0;
    if (isDue && terminal !== undefined) terminal.write(paintOf(frame, terminal.size()));
    // What a machine does on its way up stands there line by line already.
    const isNews = state.farm !== undefined || state.waiting.length > 0;
    if (isNews && (told !== head || looks % TELL_LOOKS === TELL_LOOKS - 1)) {
      for (const line of text.replaceAll(/\n{2,}/gu, '\n').split('\n')) parts.tell(line);
    }
    [painted, told] = [text, head];
  };
  terminal?.write(TAKE_SCREEN);
  if (terminal !== undefined) keepKernelQuiet();
  look();
  const timer = setInterval(() => {
    looks += 1;
    look();
  }, LOOK_MS);
  timer.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      look();
      terminal?.close();
    },
  };
}

type Terminal = {
  readonly write: (text: string) => void;
  readonly size: () => { readonly columns: number; readonly rows: number };
  readonly close: () => void;
};

/** None where the kernel has no display at all. */
function openTerminal(): Terminal | undefined {
  const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = constants;
  try {
    const device = openSync(TERMINAL, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    const size = sizeOf();
    return {
      write: (text) => {
        try {
          writeSync(device, text);
        } catch {
          // A display that takes nothing holds up nobody.
        }
      },
      size: () => size,
      close: () => closeSync(device),
    };
  } catch {
    return undefined;
  }
}

/** A frame buffer has more room than 80x25; the frame is in its middle. */
function sizeOf(): { readonly columns: number; readonly rows: number } {
  const { O_RDWR, O_NOCTTY } = constants;
  try {
    const stream = new WriteStream(openSync(TERMINAL, O_RDWR | O_NOCTTY));
    const [columns, rows] = stream.getWindowSize();
    stream.destroy();
    return columns >= COLUMNS && rows >= ROWS
      ? { columns, rows }
      : { columns: COLUMNS, rows: ROWS };
  } catch {
    return { columns: COLUMNS, rows: ROWS };
  }
}

/**
 * What the kernel has to say stays in its log, which can be asked for, and off the display; a panic
 * raises the level by itself, and is seen.
 */
function keepKernelQuiet(): void {
  try {
    if (readFileSync(CONSOLES, 'utf8').includes('tty0')) writeFileSync(LOG_LEVELS, '1');
  } catch {
    // Then its messages are painted over.
  }
}
