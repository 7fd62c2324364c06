import { inflateSync } from 'node:zlib';
import { tellQemu } from '../../../src/host/lab/qemu.ts';

/** What is on a machine's display, as a PNG file. */
export async function takePicture(qmpPath: string, path: string): Promise<void> {
  await tellQemu(qmpPath, 'screendump', { filename: path, format: 'png' });
}

/** The colours of a picture by QEMU: 8 bits for red, green and blue each (PNG, clauses 7 and 9). */
export function pixelsOf(png: Uint8Array): { readonly columns: number; readonly bytes: Buffer } {
  const file = Buffer.from(png);
  const columns = file.readUInt32BE(16);
  const packed: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    if (type === 'IDAT') packed.push(file.subarray(at + 8, at + 8 + length));
  }
  const filtered = inflateSync(Buffer.concat(packed));
  const stride = columns * 3;
  const rows = filtered.length / (stride + 1);
  const bytes = Buffer.alloc(rows * stride);
  const before = (at: number, away: number, isInside: boolean): number =>
    isInside ? (bytes[at - away] ?? 0) : 0;
  for (let row = 0; row < rows; row += 1) {
    const filter = filtered[row * (stride + 1)];
    for (let column = 0; column < stride; column += 1) {
      const at = row * stride + column;
      const left = before(at, 3, column >= 3);
      const up = before(at, stride, row > 0);
      const corner = before(at, stride + 3, row > 0 && column >= 3);
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter ?? 0] ?? 0;
      bytes[at] = (filtered[row * (stride + 1) + 1 + column] ?? 0) + guess;
    }
  }
  return { columns, bytes };
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value)) as [
    number,
    number,
    number,
  ];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
