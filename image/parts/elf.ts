const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

type Segment = { type: number; offset: number; address: number; lengthBytes: number };

/** Whether a file starts like an executable, a library or an object (ELF, System V ABI). */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** The libraries that a 64-bit little-endian ELF file says it needs: its DT_NEEDED entries. */
export function neededLibraries(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = segmentsOf(view);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return [];
  const entries = dynamicEntries(view, dynamic);
  const names = entries.find(([tag]) => tag === DT_STRTAB)?.[1] ?? 0;
  const start = offsetOf(segments, names);
  return entries
    .filter(([tag]) => tag === DT_NEEDED)
    .map(([, name]) => textAt(bytes, start + name));
}

function segmentsOf(view: DataView): Segment[] {
  const table = Number(view.getBigUint64(32, true));
  const entryBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * entryBytes;
    return {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: Number(view.getBigUint64(at + 16, true)),
      lengthBytes: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

function dynamicEntries(view: DataView, dynamic: Segment): [tag: number, value: number][] {
  const entries: [number, number][] = [];
  for (let at = 0; at + 16 <= dynamic.lengthBytes; at += 16) {
    const tag = Number(view.getBigInt64(dynamic.offset + at, true));
    if (tag === DT_NULL) break;
    entries.push([tag, Number(view.getBigUint64(dynamic.offset + at + 8, true))]);
  }
  return entries;
}

/** Where in the file the bytes of a memory address lie. */
function offsetOf(segments: readonly Segment[], address: number): number {
  const home = segments.find(
    ({ type, address: start, lengthBytes }) =>
      type === PT_LOAD && address >= start && address < start + lengthBytes,
  );
  return home === undefined ? address : address - home.address + home.offset;
}

function textAt(bytes: Uint8Array, start: number): string {
  return new TextDecoder('latin1').decode(bytes.subarray(start, bytes.indexOf(0, start)));
}
