import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { concatBytes } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';

export class TpmError extends ZosError<
  'TPM_ABSENT' | 'TPM_SILENT' | 'TPM_ANSWER_MALFORMED' | 'TPM_REFUSED'
> {}

/** The kernel's resource manager: keys and sessions that we load are gone when it is closed. */
export const TPM_PATH = '/dev/tpmrm0';
/** No TPM answers with more in one piece (TPM2_PT_MAX_RESPONSE_SIZE is 4096 everywhere). */
const ANSWER_BYTES_MAX = 4096;
const HEADER_BYTES = 10;
/** Making an RSA key takes a slow TPM tens of seconds. */
const DEADLINE_MS = 90 * SECOND_MS;

/** A TPM that is open: one command at a time, in the order in which they were given. */
export type Tpm = AsyncDisposable & {
  /** Sends one whole command and returns the whole answer; throws `TpmError`. */
  readonly transmit: (command: Uint8Array) => Promise<Uint8Array>;
};

type Line = {
  readonly exchange: (command: Uint8Array) => Promise<Uint8Array>;
  readonly close: () => Promise<void>;
};

export type TpmWish = {
  /** A character device of the kernel, or the Unix socket of a software TPM. */
  readonly path?: string;
  readonly deadlineMs?: number;
};

/** Opens a TPM 2.0, or says that there is none by throwing `TpmError` with `TPM_ABSENT`. */
export async function openTpm(wish: TpmWish = {}): Promise<Tpm> {
  const { path = TPM_PATH, deadlineMs = DEADLINE_MS } = wish;
  const line = await openLine(path);
  let turn: Promise<unknown> = Promise.resolve();
  let isBroken = false;
  const once = async (command: Uint8Array): Promise<Uint8Array> => {
    // An answer that comes too late would be taken for that of the next command.
    if (isBroken) throw silent(path);
    const timer = Promise.withResolvers<never>();
    const timeout = setTimeout(() => timer.reject(silent(path)), deadlineMs);
    try {
      return checkFrame(await Promise.race([line.exchange(command), timer.promise]));
    } catch (cause) {
      isBroken = true;
      if (cause instanceof TpmError) throw cause;
      throw new TpmError('TPM_SILENT', `The TPM at ${path} broke off; open it again.`, { cause });
    } finally {
      clearTimeout(timeout);
    }
  };
  return {
    transmit: async (command) => {
      const mine = turn.then(async () => once(command));
      turn = mine.catch(() => undefined);
      return mine;
    },
    [Symbol.asyncDispose]: line.close,
  };
}

function silent(path: string): TpmError {
  return new TpmError('TPM_SILENT', `The TPM at ${path} does not answer; power-cycle the machine.`);
}

/** An answer says its own length, right behind its tag (part 1, "Response structure"). */
function checkFrame(answer: Uint8Array): Uint8Array {
  if (answer.length >= HEADER_BYTES && lengthOf(answer) === answer.length) return answer;
  throw new TpmError(
    'TPM_ANSWER_MALFORMED',
    'The TPM gave an answer of another length than it says.',
  );
}

function lengthOf(answer: Uint8Array): number {
  return new DataView(answer.buffer, answer.byteOffset).getUint32(2);
}

async function openLine(path: string): Promise<Line> {
  try {
    // Opening a socket as a file is what the kernel refuses with this very code.
    return await openDevice(path).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENXIO') throw error;
      return openSocket(path);
    });
  } catch (cause) {
    throw new TpmError('TPM_ABSENT', `There is no TPM at ${path}; switch it on in the firmware.`, {
      cause,
    });
  }
}

async function openDevice(path: string): Promise<Line> {
  const file = await open(path, 'r+');
  return {
    exchange: async (command) => {
      await file.write(command, 0, command.length, null);
      const buffer = new Uint8Array(ANSWER_BYTES_MAX);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      return buffer.subarray(0, bytesRead);
    },
    close: async () => file.close(),
  };
}

async function openSocket(path: string): Promise<Line> {
  const socket = connect({ path });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  // Whoever waits for an answer hears of the end; between two answers nobody has to.
  socket.on('error', () => undefined);
  return {
    exchange: async (command) => {
      socket.write(command);
      return readAnswer(socket);
    },
    close: async () => {
      socket.destroy();
    },
  };
}

async function readAnswer(socket: Socket): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  let answer: Uint8Array = new Uint8Array();
  const onEnd = (): void => reject(new Error('The socket was closed.'));
  const onChunk = (chunk: Uint8Array): void => {
    answer = concatBytes(answer, chunk);
    const isWhole = answer.length >= HEADER_BYTES && answer.length >= lengthOf(answer);
    if (isWhole || answer.length > ANSWER_BYTES_MAX) resolve(answer);
  };
  socket.on('data', onChunk).once('close', onEnd);
  try {
    return await promise;
  } finally {
    socket.off('data', onChunk).off('close', onEnd);
  }
}
