import { closeSync, constants, openSync, readSync } from 'node:fs';
import { KiB } from '../../lib/units.ts';

const RECORDS_SHOWN = 200;
const RECORDS_MAX = 100_000;
const RECORD_BYTES_MAX = 8 * KiB;

/** What the kernel says of a program by its name, or of its control group: a tenant's business. */
const OF_PROGRAMS =
  /\bcomm\b|cgroup|memcg|oom|killed process|segfault|general protection|traps:|audit:|pid:|tgid/iu;

/** The end of the kernel's log (Documentation/ABI/testing/dev-kmsg), without tenants' programs. */
export function readKernelLog(path = '/dev/kmsg'): string {
  const lines: string[] = [];
  const device = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const record = new Uint8Array(RECORD_BYTES_MAX);
    for (let count = 0; count < RECORDS_MAX; count += 1) {
      const length = readRecord(device, record);
      if (length === 0) break;
      const line = kernelLine(new TextDecoder().decode(record.subarray(0, length)));
      if (line !== undefined) lines.push(line);
      if (lines.length > RECORDS_SHOWN) lines.shift();
    }
  } finally {
    closeSync(device);
  }
  return `${lines.join('\n')}\n`;
}

/** Zero when there is no more; a record that was written over meanwhile is left out. */
function readRecord(device: number, record: Uint8Array): number {
  for (;;) {
    try {
      return readSync(device, record);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'EPIPE') return 0;
    }
  }
}

/** `6,339,5140900,-;text`: level, number, microseconds; `undefined` for what is not shown. */
export function kernelLine(record: string): string | undefined {
  const found = /^(\d+),\d+,(\d+),[^;]*;([^\n]*)/u.exec(record);
  if (found === null) return undefined;
  const [, , microseconds, text = ''] = found;
  if (OF_PROGRAMS.test(text)) return undefined;
  const seconds = (Number(microseconds) / 1e6).toFixed(3);
  return `[${seconds.padStart(12)}] ${text.replaceAll(/[^\P{Cc}]/gu, ' ')}`;
}
