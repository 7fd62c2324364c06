import { ImageError } from '../errors.ts';

/** The header of ICU's data (icu4c, common/unicode/udata.h): its length, a magic, and its kind. */
const MAGIC = Buffer.from([0xda, 0x27]);
const KIND = Buffer.from('CmnD');
const KIND_AT = 12;

/** What a node has no use for: languages, character sets, and how words of some scripts break. */
const LEFT_OUT = [
  /** A locale by its language; the rest of ICU leans on `root`, `pool` and the like. */
  /^(?:[a-z]+\/)?(?!en(?:_US(?:_POSIX)?)?\.)[a-z]{2,3}(?:_\w+)?\.res$/u,
  /\.(?:cnv|dict)$/u,
  /^(?:translit|rbnf)\//u,
];

/** How base64 of a WebAssembly module begins, and how long only the compiler of TypeScript is. */
const WASM = Buffer.from('AGFzbQEAAAAB');
const COMPILER_CHARS_MIN = 1_000_000;

/**
 * Node.js with what a node never uses overwritten: the tables of languages other than English, 28
 * of 33 MB of ICU's data, by zeros; the compiler of TypeScript, which an executable that takes no
 * script has no use for, by the letter A. Everything else stays as and where it was, and what is
 * all the same costs nothing on the wire or in memory. Throws `ImageError`.
 */
export function withoutUnused(node: Uint8Array): Uint8Array {
  const out = Buffer.from(node);
  clearLocales(out);
  clearCompiler(out);
  return out;
}

/** It lies in Node.js as a text in a text; what would load it finds no module in it. */
function clearCompiler(out: Buffer): void {
  for (let at = out.indexOf(WASM); at !== -1; at = out.indexOf(WASM, at + 1)) {
    const end = out.indexOf('"', at);
    if (end - at < COMPILER_CHARS_MIN) continue;
    out.fill('A', at, end);
    return;
  }
  throw unknown('the compiler of TypeScript', 'it is not there');
}

function clearLocales(out: Buffer): void {
  const start = startOf(out);
  const table = start + out.readUInt16LE(start);
  const count = out.readUInt32LE(table);
  const items = Array.from({ length: count }, (_, index) => {
    const entry = table + 4 + index * 8;
    const nameAt = table + out.readUInt32LE(entry);
    const name = out.toString('latin1', nameAt, out.indexOf(0, nameAt));
    return { name: name.replace(/^icudt\d+l\//u, ''), at: table + out.readUInt32LE(entry + 4) };
  });
  let clearedBytes = 0;
  for (const [index, { name, at }] of items.entries()) {
    const end = items[index + 1]?.at;
    // The last one has no end that is told; it stays.
    if (end === undefined || !LEFT_OUT.some((pattern) => pattern.test(name))) continue;
    out.fill(0, at, end);
    clearedBytes += end - at;
  }
  if (clearedBytes === 0) throw unknown('ICU’s data', 'it has no locales');
}

function startOf(node: Buffer): number {
  const starts: number[] = [];
  for (let at = node.indexOf(KIND); at !== -1; at = node.indexOf(KIND, at + 1)) {
    const start = at - KIND_AT;
    if (start >= 0 && node.subarray(start + 2, start + 4).equals(MAGIC)) starts.push(start);
  }
  const [start] = starts;
  if (start === undefined || starts.length > 1)
    throw unknown('ICU’s data', `it is there ${starts.length} times`);
  return start;
}

function unknown(what: string, why: string): ImageError {
  const sentence = `In Node.js, ${what} is not as known: ${why}; see image/node/unused.ts.`;
  return new ImageError('FILE_MISSING', sentence);
}
