import { open } from 'node:fs/promises';
import { isZero } from '../../../src/host/disk.ts';
import { MiB } from '../../../src/lib/units.ts';

const PART_BYTES = 4 * MiB;
/** Longer than anything that is searched for: what lies over the edge of two parts is found too. */
const EDGE_BYTES = 512;

/** How often each of these stands on a disk, read from its first to its last byte. */
export async function countOnDisk(
  path: string,
  searched: Readonly<Record<string, Uint8Array>>,
): Promise<Record<string, number>> {
  const counts = Object.fromEntries(Object.keys(searched).map((name) => [name, 0]));
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  let edge = Buffer.alloc(0);
  for (let at = 0; at < size; at += PART_BYTES) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PART_BYTES), 0, PART_BYTES, at);
    const part = Buffer.concat([edge, buffer.subarray(0, bytesRead)]);
    if (!isZero(part)) {
      for (const [name, bytes] of Object.entries(searched)) {
        counts[name] = (counts[name] ?? 0) + countIn(part, bytes, edge.length);
      }
    }
    edge = part.subarray(-EDGE_BYTES);
  }
  return counts;
}

/** Those that end behind the edge: the others were counted with the part before. */
function countIn(part: Buffer, bytes: Uint8Array, edgeBytes: number): number {
  let count = 0;
  for (let at = part.indexOf(bytes); at >= 0; at = part.indexOf(bytes, at + 1)) {
    if (at + bytes.length > edgeBytes) count += 1;
  }
  return count;
}
