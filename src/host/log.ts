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
