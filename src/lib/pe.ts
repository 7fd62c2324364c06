import { createHash } from 'node:crypto';
import { ZosError } from './errors.ts';

export class PeError extends ZosError<'NOT_PE' | 'NO_ROOM'> {}

export type PeSection = {
  readonly name: string;
  readonly bytes: Uint8Array;
};

/** Offsets of the fields that matter here, from the file's start (PE format, COFF header on). */
type Headers = {
  readonly view: DataView;
  readonly optionalAt: number;
  readonly sectionsAt: number;
  readonly sections: number;
  readonly sectionBytes: number;
  readonly fileBytes: number;
  readonly headersBytes: number;
  readonly checksumAt: number;
  /** The entry that says where the signatures lie; not covered by them. */
  readonly signaturesAt: number;
};

const SECTION_HEADER_BYTES = 40;
const PE32_PLUS = 0x20b;
const SIGNATURES = 4;
/** Initialised data that can be read: what a section of plain bytes is. */
const DATA_SECTION = 0x40000040;

/**
 * The same executable with sections behind its own, each where the ones before it end. The bytes
 * depend on the arguments alone. Throws `PeError`.
 */
export function addSections(image: Uint8Array, added: readonly PeSection[]): Uint8Array {
  const { view, ...before } = headersOf(image);
  const headersEnd = before.sectionsAt + (before.sections + added.length) * SECTION_HEADER_BYTES;
  if (headersEnd > before.headersBytes) {
    throw new PeError('NO_ROOM', 'The executable has no room for headers of more sections.');
  }
  const last = Array.from({ length: before.sections }, (_, i) => {
    const at = before.sectionsAt + i * SECTION_HEADER_BYTES;
    return view.getUint32(at + 12, true) + view.getUint32(at + 8, true);
  });
  let address = roundUp(Math.max(...last), before.sectionBytes);
  let offset = roundUp(image.length, before.fileBytes);
  const totalBytes = added.reduce(
    (sum, { bytes }) => sum + roundUp(bytes.length, before.fileBytes),
    offset,
  );
  const out = new Uint8Array(totalBytes);
  out.set(image);
  const to = new DataView(out.buffer);
  for (const [index, { name, bytes }] of added.entries()) {
    const at = before.sectionsAt + (before.sections + index) * SECTION_HEADER_BYTES;
    const rawBytes = roundUp(bytes.length, before.fileBytes);
    out.set(sectionName(name), at);
    to.setUint32(at + 8, bytes.length, true);
    to.setUint32(at + 12, address, true);
    to.setUint32(at + 16, rawBytes, true);
    to.setUint32(at + 20, offset, true);
    to.setUint32(at + 36, DATA_SECTION, true);
    out.set(bytes, offset);
    offset += rawBytes;
    address = roundUp(address + bytes.length, before.sectionBytes);
  }
  to.setUint16(before.optionalAt - 18, before.sections + added.length, true);
  to.setUint32(before.optionalAt + 56, address, true);
  to.setUint32(before.checksumAt, 0, true);
  return out;
}

/** What each section holds, without the padding of the file. Throws `PeError`. */
export function readSections(image: Uint8Array): PeSection[] {
  const { view, sections, sectionsAt } = headersOf(image);
  return Array.from({ length: sections }, (_, index) => {
    const at = sectionsAt + index * SECTION_HEADER_BYTES;
    const name = new TextDecoder('latin1').decode(image.subarray(at, at + 8)).replace(/\0+$/u, '');
    const lengthBytes = Math.min(view.getUint32(at + 8, true), view.getUint32(at + 16, true));
    const offset = view.getUint32(at + 20, true);
    if (offset + lengthBytes > image.length) throw notPe();
    return { name, bytes: image.subarray(offset, offset + lengthBytes) };
  });
}

/** The same executable without any signature; itself when it has none. Throws `PeError`. */
export function withoutSignatures(image: Uint8Array): Uint8Array {
  const { view, signaturesAt, checksumAt } = headersOf(image);
  const offset = view.getUint32(signaturesAt, true);
  if (offset === 0) return image;
  if (offset + view.getUint32(signaturesAt + 4, true) !== image.length) throw notPe();
  const out = new Uint8Array(image.subarray(0, offset));
  const to = new DataView(out.buffer);
  to.setBigUint64(signaturesAt, 0n, true);
  to.setUint32(checksumAt, 0, true);
  return out;
}

/**
 * The SHA-256 by which firmware knows an executable (Microsoft's Authenticode): all of the file
 * but its checksum and its signatures, so that signing does not change it. Throws `PeError`.
 */
export function authenticodeSha256(image: Uint8Array): string {
  const { view, checksumAt, signaturesAt } = headersOf(image);
  const end = view.getUint32(signaturesAt, true) || image.length;
  if (end > image.length) throw notPe();
  const hash = createHash('sha256')
    .update(image.subarray(0, checksumAt))
    .update(image.subarray(checksumAt + 4, signaturesAt))
    .update(image.subarray(signaturesAt + 8, end));
  // Signatures lie at a multiple of eight bytes, up to which they are taken as zeros.
  return hash.update(new Uint8Array(roundUp(end, 8) - end)).digest('hex');
}

function headersOf(bytes: Uint8Array): Headers {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const peAt = view.getUint32(0x3c, true);
    const optionalAt = peAt + 24;
    const isImage = view.getUint16(0, true) === 0x5a4d && view.getUint32(peAt, true) === 0x4550;
    if (!isImage || view.getUint16(optionalAt, true) !== PE32_PLUS) throw notPe();
    if (view.getUint32(optionalAt + 108, true) <= SIGNATURES) throw notPe();
    const headers: Headers = {
      view,
      optionalAt,
      sectionsAt: optionalAt + view.getUint16(peAt + 20, true),
      sections: view.getUint16(peAt + 6, true),
      sectionBytes: view.getUint32(optionalAt + 32, true),
      fileBytes: view.getUint32(optionalAt + 36, true),
      headersBytes: view.getUint32(optionalAt + 60, true),
      checksumAt: optionalAt + 64,
      signaturesAt: optionalAt + 112 + SIGNATURES * 8,
    };
    const end = headers.sectionsAt + headers.sections * SECTION_HEADER_BYTES;
    if (end > bytes.length || headers.signaturesAt + 8 > bytes.length) throw notPe();
    if (headers.sectionBytes === 0 || headers.fileBytes === 0) throw notPe();
    return headers;
  } catch (cause) {
    if (cause instanceof PeError) throw cause;
    throw notPe(cause);
  }
}

function sectionName(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > 8) throw new PeError('NO_ROOM', `The section's name ${name} is too long.`);
  return bytes;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function notPe(cause?: unknown): PeError {
  return new PeError('NOT_PE', 'It is no whole executable for UEFI.', { cause });
}
