import { EXTENDED_MAX } from './spec.ts';

/** Out of the file with what PCR 14 was extended by: a SHA-256 a line, in order. */
export function parseExtended(text: string): string[] {
  const lines = text.split('\n').filter((line) => /^[0-9a-f]{64}$/u.test(line));
  return lines.slice(0, EXTENDED_MAX);
}
