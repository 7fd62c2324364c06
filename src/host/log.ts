import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { pino, type Logger } from 'pino';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/**
 * A log of facts: the message is a constant, values are fields; one JSON object a line, to stderr.
 */
export function openLog(role: string): Log {
  // Whatever its name says is a secret never reaches a line, even by mistake.
  const redact = ['secretKey', '*.secretKey', 'privateKey', '*.privateKey', 'authorization'];
  return pino({ base: { role }, redact, timestamp: true }, pino.destination({ fd: 2, sync: true }));
}

/** `/dev/console`, as major and minor number (Linux, Documentation/admin-guide/devices.txt). */
const CONSOLE_DEVICE = (5 << 8) | 1;

/**
 * Prints a line on the standard output, at once and whole. Where that is the machine's console, it
 * is the last one of the command line only: the line goes to each other as well, so that people see
 * it on the screen and on the serial port.
 */
export function printLine(line: string): void {
  writeSync(1, `${line}\n`);
  if (fstatSync(1).rdev !== CONSOLE_DEVICE) return;
  for (const name of otherConsoles()) {
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

function otherConsoles(): string[] {
  try {
    const names = readFileSync('/sys/class/tty/console/active', 'utf8').trim().split(' ');
    return names.slice(0, -1);
  } catch {
    return [];
  }
}
