import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { pino, type Logger } from 'pino';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/**
 * A log of facts: the message is a constant, values are fields; one JSON object a line, to stderr.
 */
export function openLog(role: string): Log {
  // Whatever its name says is a secret never reaches a line, even by mistake.
  const redact = ['secretKey', '*.secretKey', 'privateKey', '*.privateKey', 'authorization'];
  // On a machine without a serial port its console is the display, which shows the screen.
  const to = isConsole(2) && isDisplay() ? { dest: '/dev/null' } : { fd: 2 };
  return pino({ base: { role }, redact, timestamp: true }, pino.destination({ ...to, sync: true }));
}

/** `/dev/console`, as major and minor number (Linux, Documentation/admin-guide/devices.txt). */
const CONSOLE_DEVICE = (5 << 8) | 1;

/**
 * Prints a line on the standard output, at once and whole. Where that is the machine's console, it
 * is the last one of the command line only: the line goes to each other as well, but not to the
 * display, where the same is seen on the screen (`src/screen`).
 */
export function printLine(line: string): void {
  if (!isConsole(1)) return void writeSync(1, `${line}\n`);
  if (!isDisplay()) writeSync(1, `${line}\n`);
  for (const name of consoles().slice(0, -1).filter(isSerial)) {
    try {
      const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = constants;
      const device = openSync(`/dev/${name}`, O_WRONLY | O_NOCTTY | O_NONBLOCK);
      writeSync(device, `${line}\n`);
      closeSync(device);
    } catch {
      // A console that takes nothing holds up nobody.
    }
  }
}

/** A line of the screen for whoever reads the serial console, and for nobody else. */
export function printScreen(line: string): void {
  if (isConsole(1)) printLine(line);
}

function isConsole(descriptor: number): boolean {
  return fstatSync(descriptor).rdev === CONSOLE_DEVICE;
}

/** Whether `/dev/console` is the display, because the machine has no serial port. */
function isDisplay(): boolean {
  const last = consoles().at(-1);
  return last !== undefined && !isSerial(last);
}

function isSerial(name: string): boolean {
  return !/^tty\d+$/u.test(name);
}

function consoles(): string[] {
  try {
    return readFileSync('/sys/class/tty/console/active', 'utf8').trim().split(' ');
  } catch {
    return [];
  }
}
