import { bigEndian, ByteReader, concatBytes } from '../../lib/bytes.ts';
import { ALG_SHA256, isRefusal, OWNER, readAnswer, runCommand, sized } from './command.ts';
import type { Tpm } from './device.ts';

/** One piece that every TPM reads and writes at once; larger ones are up to the maker. */
const PIECE_BYTES_MAX = 512;
/** The most that an index of ours, or a certificate in one, may hold. */
const NV_BYTES_MAX = 8192;
const COUNTER_BYTES = 8;

/** TPMA_NV (part 2, 13.4): owner and empty password read and write, no lock-out. */
const NV_ATTRIBUTES = 0x2 | 0x4 | 0x20000 | 0x40000 | 0x2000000;
const NT_COUNTER = 0x10;

/**
 * Makes a counter (part 3, 31.3), unless it is there. It can't be set back, not even by undefining
 * it: it then comes back above the highest value that any counter of this TPM had.
 */
export async function defineCounter(tpm: Tpm, index: number): Promise<void> {
  await define(tpm, { index, attributes: NV_ATTRIBUTES | NT_COUNTER, lengthBytes: COUNTER_BYTES });
}

/** Makes room for so many bytes, unless it is there. Whoever has the machine can write them. */
export async function defineBytes(tpm: Tpm, index: number, lengthBytes: number): Promise<void> {
  await define(tpm, { index, attributes: NV_ATTRIBUTES, lengthBytes });
}

/** TPM2_NV_Increment (part 3, 31.8). */
export async function incrementCounter(tpm: Tpm, index: number): Promise<void> {
  await runCommand(tpm, {
    name: 'TPM2_NV_Increment',
    code: 0x134,
    handles: [index, index],
    sessions: ['password'],
  });
}

/** The counter's value, or `undefined` when it is not there or was never incremented. */
export async function readCounter(tpm: Tpm, index: number): Promise<bigint | undefined> {
  const bytes = await readNv(tpm, index);
  return bytes?.length === COUNTER_BYTES ? new ByteReader(bytes).u64() : undefined;
}

/** TPM2_NV_Write (part 3, 31.7), whole. */
export async function writeNv(tpm: Tpm, index: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
    await runCommand(tpm, {
      name: 'TPM2_NV_Write',
      code: 0x137,
      handles: [index, index],
      sessions: ['password'],
      parameters: [sized(bytes.subarray(at, at + PIECE_BYTES_MAX)), bigEndian(at, 2)],
    });
  }
}

/** TPM2_NV_Read (part 3, 31.13), whole; `undefined` when it is not there or was never written. */
export async function readNv(tpm: Tpm, index: number): Promise<Uint8Array | undefined> {
  const lengthBytes = await lengthOf(tpm, index);
  if (lengthBytes === undefined) return undefined;
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < lengthBytes; at += PIECE_BYTES_MAX) {
    const wanted = Math.min(PIECE_BYTES_MAX, lengthBytes - at);
    try {
      pieces.push(await readPiece(tpm, { index, at, wanted }));
    } catch (error) {
      if (isRefusal(error, 'TPM_RC_NV_UNINITIALIZED')) return undefined;
      throw error;
    }
  }
  return concatBytes(...pieces);
}

type Piece = { readonly index: number; readonly at: number; readonly wanted: number };

async function readPiece(tpm: Tpm, { index, at, wanted }: Piece): Promise<Uint8Array> {
  const name = 'TPM2_NV_Read';
  const answer = await runCommand(tpm, {
    name,
    code: 0x14e,
    handles: [index, index],
    sessions: ['password'],
    parameters: [bigEndian(wanted, 2), bigEndian(at, 2)],
  });
  return readAnswer(name, () => answer.parameters.sized16(wanted));
}

/** Out of TPM2_NV_ReadPublic (part 3, 31.6): TPMS_NV_PUBLIC ends in the length (part 2, 13.5). */
async function lengthOf(tpm: Tpm, index: number): Promise<number | undefined> {
  const name = 'TPM2_NV_ReadPublic';
  try {
    const answer = await runCommand(tpm, { name, code: 0x169, handles: [index] });
    return readAnswer(name, () => {
      const reader = new ByteReader(answer.parameters.sized16(NV_BYTES_MAX));
      reader.take(4 + 2 + 4); // Index, algorithm of its name, attributes.
      reader.sized16(NV_BYTES_MAX);
      return Math.min(reader.u16(), NV_BYTES_MAX);
    });
  } catch (error) {
    if (isRefusal(error, 'TPM_RC_HANDLE')) return undefined;
    throw error;
  }
}

type Space = {
  readonly index: number;
  readonly attributes: number;
  readonly lengthBytes: number;
};

async function define(tpm: Tpm, { index, attributes, lengthBytes }: Space): Promise<void> {
  const none = sized(new Uint8Array());
  const space = concatBytes(
    bigEndian(index, 4),
    bigEndian(ALG_SHA256, 2),
    bigEndian(attributes, 4),
    none,
    bigEndian(lengthBytes, 2),
  );
  try {
    await runCommand(tpm, {
      name: 'TPM2_NV_DefineSpace',
      code: 0x12a,
      handles: [OWNER],
      sessions: ['password'],
      parameters: [none, sized(space)],
    });
  } catch (error) {
    if (!isRefusal(error, 'TPM_RC_NV_DEFINED')) throw error;
  }
}
