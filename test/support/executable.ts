const SECTION_BYTES = 0x1000;
const FILE_BYTES = 0x200;
const HEADERS_BYTES = 0x400;

/** The smallest executable for UEFI that tools take: one section of code that returns. */
export function makeExecutable(code: Uint8Array = Uint8Array.of(0x31, 0xc0, 0xc3)): Buffer {
  const bytes = Buffer.alloc(HEADERS_BYTES + FILE_BYTES);
  const pe = 0x40;
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(pe, 0x3c);
  bytes.write('PE\0\0', pe, 'latin1');
  bytes.writeUInt16LE(0x8664, pe + 4);
  bytes.writeUInt16LE(1, pe + 6);
  bytes.writeUInt16LE(240, pe + 20);
  bytes.writeUInt16LE(0x22e, pe + 22);
  const optional = pe + 24;
  bytes.writeUInt16LE(0x20b, optional);
  bytes.writeUInt32LE(FILE_BYTES, optional + 4);
  bytes.writeUInt32LE(SECTION_BYTES, optional + 16);
  bytes.writeUInt32LE(SECTION_BYTES, optional + 20);
  bytes.writeUInt32LE(SECTION_BYTES, optional + 32);
  bytes.writeUInt32LE(FILE_BYTES, optional + 36);
  bytes.writeUInt32LE(2 * SECTION_BYTES, optional + 56);
  bytes.writeUInt32LE(HEADERS_BYTES, optional + 60);
  bytes.writeUInt16LE(10, optional + 68);
  bytes.writeUInt32LE(16, optional + 108);
  const section = optional + 240;
  bytes.write('.text', section, 'latin1');
  bytes.writeUInt32LE(code.length, section + 8);
  bytes.writeUInt32LE(SECTION_BYTES, section + 12);
  bytes.writeUInt32LE(FILE_BYTES, section + 16);
  bytes.writeUInt32LE(HEADERS_BYTES, section + 20);
  bytes.writeUInt32LE(0x60000020, section + 36);
  bytes.set(code, HEADERS_BYTES);
  return bytes;
}
