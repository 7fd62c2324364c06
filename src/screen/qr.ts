/**
 * QR codes (ISO/IEC 18004) of one line of text: versions 1 to 5 with error correction M, whose
 * blocks are all of one length and which have one alignment pattern at most. That is 122 characters
 * of an address in capital letters, and as much as fits beside text on a screen of 80x25.
 */

/** Rows of modules, true where it is dark; without the quiet zone. */
export type QrCode = readonly (readonly boolean[])[];

type Version = { readonly blocks: number; readonly data: number; readonly check: number };

/** Codewords of data and of error correction in each block, level M. */
const VERSIONS: readonly Version[] = [
  { blocks: 1, data: 16, check: 10 },
  { blocks: 1, data: 28, check: 16 },
  { blocks: 1, data: 44, check: 26 },
  { blocks: 2, data: 32, check: 18 },
  { blocks: 2, data: 43, check: 24 },
];

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

/** The code of a text, the smallest that holds it; none when it is too long for all of them. */
export function encodeQr(text: string): QrCode | undefined {
  const bits = bitsOf(text);
  const index = VERSIONS.findIndex(({ blocks, data }) => bits.length <= blocks * data * 8);
  const version = VERSIONS[index];
  if (version === undefined) return undefined;
  const codewords = interleave(pad(bits, version.blocks * version.data), version);
  const candidates = MASKS.map((_, mask) => drawn({ number: index + 1, codewords, mask }));
  const scored = candidates.map((code) => ({ code, penalty: penaltyOf(code) }));
  return scored.toSorted((a, b) => a.penalty - b.penalty)[0]?.code;
}

/** Mode, length (as wide as versions 1 to 9 have it) and characters. */
function bitsOf(text: string): number[] {
  const values = text.split('').map((character) => ALPHANUMERIC.indexOf(character));
  if (values.includes(-1)) {
    const bytes = [...new TextEncoder().encode(text)];
    return [
      ...bitsFrom(0b0100, 4),
      ...bitsFrom(bytes.length, 8),
      ...bytes.flatMap((b) => bitsFrom(b, 8)),
    ];
  }
  const bits = [...bitsFrom(0b0010, 4), ...bitsFrom(values.length, 9)];
  for (let at = 0; at < values.length; at += 2) {
    const [first = 0, second] = values.slice(at, at + 2);
    bits.push(...(second === undefined ? bitsFrom(first, 6) : bitsFrom(first * 45 + second, 11)));
  }
  return bits;
}

function bitsFrom(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => (value >> (count - 1 - index)) & 1);
}

/** Codewords of the bits, with a terminator and the two bytes that fill up. */
function pad(bits: readonly number[], length: number): number[] {
  const ended = [...bits, ...bitsFrom(0, Math.min(4, length * 8 - bits.length))];
  const whole = [...ended, ...bitsFrom(0, (8 - (ended.length % 8)) % 8)];
  const bytes = Array.from({ length: whole.length / 8 }, (_, index) =>
    whole.slice(index * 8, index * 8 + 8).reduce((byte, bit) => byte * 2 + bit, 0),
  );
  for (let fill = 0xec; bytes.length < length; fill ^= 0xec ^ 0x11) bytes.push(fill);
  return bytes;
}

function interleave(codewords: readonly number[], { blocks, data, check }: Version): number[] {
  const rows = Array.from({ length: blocks }, (_, block) =>
    codewords.slice(block * data, (block + 1) * data),
  );
  const checks = rows.map((row) => remainder(row, check));
  const woven = (all: readonly (readonly number[])[], length: number): number[] =>
    Array.from({ length }, (_, at) => all.map((row) => row[at] ?? 0)).flat();
  return [...woven(rows, data), ...woven(checks, check)];
}

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function product(a: number, b: number): number {
  let result = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    result = (result << 1) ^ ((result >> 7) * 0x11d);
    if (((b >> bit) & 1) === 1) result ^= a;
  }
  return result;
}

/** Reed and Solomon's check codewords: what is left of the division by (x - 1)(x - 2)(x - 4)... */
function remainder(codewords: readonly number[], degree: number): number[] {
  const divisor = [...Array.from({ length: degree - 1 }, () => 0), 1];
  for (let root = 1, count = 0; count < degree; count += 1, root = product(root, 2)) {
    for (let at = 0; at < degree; at += 1) {
      divisor[at] = product(divisor[at] ?? 0, root) ^ (divisor[at + 1] ?? 0);
    }
  }
  let rest: number[] = divisor.map(() => 0);
  for (const codeword of codewords) {
    const factor = codeword ^ (rest[0] ?? 0);
    rest = [...rest.slice(1), 0].map((value, at) => value ^ product(divisor[at] ?? 0, factor));
  }
  return rest;
}

/** Where a mask turns a module of data over, by row and column. */
const MASKS: readonly ((row: number, column: number) => boolean)[] = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_row, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

type Drawing = { readonly number: number; readonly codewords: readonly number[]; mask: number };

function drawn({ number, codewords, mask }: Drawing): boolean[][] {
  const size = 17 + 4 * number;
  const code = Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (__, column) => patternAt(row, column, size)),
  );
  writeFormat(code, mask);
  const bits = codewords.flatMap((codeword) => bitsFrom(codeword, 8));
  let at = 0;
  for (const [row, column] of zigzag(size)) {
    const line = code[row];
    if (line === undefined || line[column] !== undefined) continue;
    line[column] = (bits[at] === 1) !== (MASKS[mask]?.(row, column) ?? false);
    at += 1;
  }
  return code.map((line) => line.map((module) => module === true));
}

/** A module that is the same in each code of this size; `undefined` is for data. */
function patternAt(row: number, column: number, size: number): boolean | undefined {
  const finders = [
    [3, 3],
    [3, size - 4],
    [size - 4, 3],
  ] as const;
  for (const [y, x] of finders) {
    const away = Math.max(Math.abs(row - y), Math.abs(column - x));
    if (away <= 4) return away !== 2 && away !== 4;
  }
  const middle = size - 7;
  const away = Math.max(Math.abs(row - middle), Math.abs(column - middle));
  if (size > 21 && away <= 2) return away !== 1;
  if (row === 6) return column % 2 === 0;
  if (column === 6) return row % 2 === 0;
  const isFormat =
    (row === 8 && (column < 9 || column >= size - 8)) ||
    (column === 8 && (row < 9 || row >= size - 8));
  return isFormat ? false : undefined;
}

/** Level and mask, twice, under their own code (BCH 15,5). */
function writeFormat(code: (boolean | undefined)[][], mask: number): void {
  const size = code.length;
  // Level M is 00.
  let rest = mask;
  for (let step = 0; step < 10; step += 1) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const word = ((mask << 10) | rest) ^ 0x5412;
  const set = (row: number, column: number, bit: number): void => {
    const line = code[row];
    if (line !== undefined) line[column] = ((word >> bit) & 1) === 1;
  };
  for (let bit = 0; bit < 15; bit += 1) {
    if (bit < 6) set(bit, 8, bit);
    else if (bit < 8) set(bit + 1, 8, bit);
    else if (bit === 8) set(8, 7, bit);
    else set(8, 14 - bit, bit);
    if (bit < 8) set(8, size - 1 - bit, bit);
    else set(size - 15 + bit, 8, bit);
  }
  const dark = code[size - 8];
  if (dark !== undefined) dark[8] = true;
}

/** Every module in the order of the data: two columns at a time, up and down, from the right. */
function* zigzag(size: number): Generator<readonly [number, number]> {
  for (let right = size - 1, isUp = true; right > 0; right -= 2, isUp = !isUp) {
    if (right === 6) right -= 1;
    for (let step = 0; step < size; step += 1) {
      const row = isUp ? size - 1 - step : step;
      yield [row, right];
      yield [row, right - 1];
    }
  }
}

/** How hard it is to read: long runs, blocks, what looks like a finder, too much of one colour. */
function penaltyOf(code: QrCode): number {
  const columns = code.map((_, at) => code.map((row) => row[at] ?? false));
  const lines = [...code, ...columns].map((line) => line.map(Number).join(''));
  let penalty = 0;
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/gu)) penalty += run.length - 2;
    for (const _ of line.matchAll(/(?=10111010000|00001011101)/gu)) penalty += 40;
  }
  for (const [y, row] of code.entries()) {
    for (const [x, module] of row.entries()) {
      const others = [code[y]?.[x + 1], code[y + 1]?.[x], code[y + 1]?.[x + 1]];
      if (others.every((other) => other === module)) penalty += 3;
    }
  }
  const dark = code.flat().filter(Boolean).length / code.length ** 2;
  return penalty + Math.floor(Math.abs(dark * 100 - 50) / 5) * 10;
}
