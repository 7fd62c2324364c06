import { ByteReader, concatBytes, sha256Hex, textOf, toHex } from '../lib/bytes.ts';
import { AttestationError } from './spec.ts';
import { readForm } from './tpm-structures.ts';

const ALG_SHA256 = 0x000b;
const EV_NO_ACTION = 0x3;
const EVENTS_MAX = 1024;
const EVENT_BYTES_MAX = 1024 * 1024;
const ALGORITHMS_MAX = 8;
const DIGEST_BYTES_MAX = 64;
const SIGNATURE = 'Spec ID Event03\0';

/** Event types that people meet (TCG PC Client Platform Firmware Profile, 10.4.1). */
const TYPES: Readonly<Record<number, string>> = {
  0x4: 'separator',
  0x5: 'action',
  0x8: 'option',
  0xd: 'IPL',
  0x80000001: 'variable',
  0x80000002: 'boot variable',
  0x80000003: 'application',
  0x80000004: 'boot driver',
  0x80000006: 'partition table',
  0x80000007: 'firmware action',
  0x800000e0: 'signed by',
  0x8000000c: 'boot variable',
};

/** Something that the firmware or the loader put into a register. */
export type BootEvent = {
  readonly register: number;
  readonly type: number;
  /** Of the SHA-256 bank. */
  readonly sha256: string;
  readonly content: Uint8Array;
  /** Its bytes in the log. */
  readonly raw: Uint8Array;
};

export type EventLog = { readonly head: Uint8Array; readonly events: readonly BootEvent[] };

/**
 * The crypto-agile log of the TCG PC Client Platform Firmware Profile (10.2.1 and 10.2.3), as
 * `binary_bios_measurements` gives it. Anybody may have written it: what it says counts only as far
 * as it replays to a register that was quoted. Throws `AttestationError`.
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  return readForm('EVENT_LOG_MALFORMED', 'The event log', () => {
    const reader = new ByteReader(bytes, 'little');
    // The first event has the old form: register, type, SHA-1, content.
    reader.take(4 + 4 + 20);
    const sizes = readAlgorithms(reader.sized32(EVENT_BYTES_MAX));
    const head = bytes.subarray(0, bytes.length - reader.left);
    const events: BootEvent[] = [];
    while (reader.left > 0) {
      if (events.length === EVENTS_MAX) throw malformed(`it has over ${EVENTS_MAX} events`);
      events.push(readEvent(reader, sizes, bytes));
    }
    return { head, events };
  });
}

/** TCG_EfiSpecIdEvent: which algorithms' digests follow, and how long each is. */
function readAlgorithms(content: Uint8Array): ReadonlyMap<number, number> {
  const reader = new ByteReader(content, 'little');
  if (toHex(reader.take(SIGNATURE.length)) !== Buffer.from(SIGNATURE).toString('hex')) {
    throw malformed('it is not in the form of TPM 2.0');
  }
  reader.take(4 + 4); // Platform class, version, size of words.
  const count = reader.u32();
  if (count > ALGORITHMS_MAX) throw malformed('it names too many algorithms');
  const sizes = new Map<number, number>();
  for (let at = 0; at < count; at += 1) {
    const algorithm = reader.u16();
    const lengthBytes = reader.u16();
    if (lengthBytes > DIGEST_BYTES_MAX) throw malformed('it names a digest that is too long');
    sizes.set(algorithm, lengthBytes);
  }
  return sizes;
}

/** TCG_PCR_EVENT2. */
function readEvent(
  reader: ByteReader,
  sizes: ReadonlyMap<number, number>,
  bytes: Uint8Array,
): BootEvent {
  const start = bytes.length - reader.left;
  const [register, type, count] = [reader.u32(), reader.u32(), reader.u32()];
  if (count > ALGORITHMS_MAX) throw malformed('an event has too many digests');
  let sha256: string | undefined;
  for (let at = 0; at < count; at += 1) {
    const algorithm = reader.u16();
    const lengthBytes = sizes.get(algorithm);
    if (lengthBytes === undefined) throw malformed('an event has a digest that was not announced');
    const digest = reader.take(lengthBytes);
    if (algorithm === ALG_SHA256) sha256 = toHex(digest);
  }
  if (sha256?.length !== 64) throw malformed('an event has no SHA-256');
  const content = reader.sized32(EVENT_BYTES_MAX);
  const raw = bytes.subarray(start, bytes.length - reader.left);
  return { register, type, sha256, content, raw };
}

/** The same log with only what went into these registers, to be sent over a network. */
export function pruneEventLog(bytes: Uint8Array, registers: readonly number[]): Uint8Array {
  const { head, events } = parseEventLog(bytes);
  const kept = events.filter(({ register }) => registers.includes(register));
  return concatBytes(head, ...kept.map(({ raw }) => raw));
}

/** What a register holds after these events, if nothing else went into it. */
export function replayEvents(events: readonly BootEvent[], register: number): string {
  return replay(measured(events, register).map(({ sha256 }) => sha256));
}

/** What a register that was zero holds after these extensions. */
export function replay(digests: readonly string[]): string {
  return digests.reduce(
    (value, digest) => sha256Hex(Buffer.from(value, 'hex'), Buffer.from(digest, 'hex')),
    '00'.repeat(32),
  );
}

/** The events of a register that count: one of type `EV_NO_ACTION` was told and not measured. */
export function measured(events: readonly BootEvent[], register: number): BootEvent[] {
  return events.filter((event) => event.register === register && event.type !== EV_NO_ACTION);
}

/** An event in a few words, of which its writer has no say beyond plain letters. */
export function describeEvent({ type, content, sha256 }: BootEvent): string {
  const kind = TYPES[type] ?? `event 0x${type.toString(16)}`;
  const text = textIn(type, content);
  return `${kind}${text === '' ? '' : ` "${text}"`} ${sha256.slice(0, 16)}`;
}

const [EV_IPL, EV_ACTION] = [0xd, 0x80000007] as const;
/** UEFI_VARIABLE_DATA: variables, and the certificate that an image was checked by. */
const VARIABLES: ReadonlySet<number> = new Set([0x80000001, 0x80000002, 0x800000e0, 0x8000000c]);

function textIn(type: number, content: Uint8Array): string {
  if (type === EV_ACTION) return plain(content);
  if (type === EV_IPL) return wide(content);
  if (!VARIABLES.has(type)) return '';
  try {
    const reader = new ByteReader(content, 'little');
    reader.take(16);
    const characters = reader.u64();
    reader.u64();
    return characters > 64n ? '' : wide(reader.take(Number(characters) * 2));
  } catch {
    return '';
  }
}

function plain(bytes: Uint8Array): string {
  try {
    return textOf(bytes)
      .replaceAll(/[^ -~]/gu, '')
      .slice(0, 80);
  } catch {
    return '';
  }
}

function wide(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('utf16le')
    .replaceAll(/[^ -~]/gu, '')
    .slice(0, 80);
}

function malformed(why: string): AttestationError {
  return new AttestationError('EVENT_LOG_MALFORMED', `The event log is malformed: ${why}.`);
}
