import { bigEndian, ByteReader, BytesError, concatBytes } from '../../lib/bytes.ts';
import { responseName } from './codes.ts';
import { type Tpm, TpmError } from './device.ts';

/** Tags of commands and answers without and with sessions (part 2, 6.9). */
const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;
const RC_SUCCESS = 0;
/** The TPM tests itself or is busy: the same command is right a moment later (part 2, 6.6.3). */
export const RC_TRY_AGAIN: ReadonlySet<number> = new Set([0x90a, 0x908, 0x922]);
const TRIES_MAX = 50;
const TRY_AGAIN_MS = 100;

/** The handle of the session that is a password and nothing else (part 1, 19.4). */
const RS_PW = 0x40000009;
/** TPMA_SESSION: the session goes on behind the command; a password has nothing else to be. */
const CONTINUE_SESSION = 1;

/** The hierarchies that we use (part 2, 7.4). */
export const OWNER = 0x40000001;
export const ENDORSEMENT = 0x4000000b;

/** TPM_ALG_SHA256 (part 2, 6.3). */
export const ALG_SHA256 = 0x000b;

export type TpmCommand = {
  /** Its name, for errors. */
  readonly name: string;
  /** TPM_CC (part 2, 6.5.2). */
  readonly code: number;
  readonly handles?: readonly number[];
  /**
   * One for each handle that needs an authorization: `password` is the empty one, with which each
   * of ours is made, or the handle of a policy session, which ends with the command.
   */
  readonly sessions?: readonly ('password' | number)[];
  readonly parameters?: readonly Uint8Array[];
  readonly hasHandleInAnswer?: boolean;
};

export type TpmAnswer = {
  /** 0 where the command gives none. */
  readonly handle: number;
  readonly parameters: ByteReader;
};

/** Bytes behind their 16-bit length, as TPM2B structures are (part 2, 10.4). */
export function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(bigEndian(bytes.length, 2), bytes);
}

/** Runs one command; throws `TpmError`, with the response code's name in the sentence and facts. */
export async function runCommand(tpm: Tpm, command: TpmCommand): Promise<TpmAnswer> {
  const bytes = encode(command);
  for (let tries = 1; ; tries += 1) {
    const answer = await tpm.transmit(bytes);
    const rc = new DataView(answer.buffer, answer.byteOffset).getUint32(6);
    if (!RC_TRY_AGAIN.has(rc) || tries === TRIES_MAX) return decode(command, answer, rc);
    await new Promise((resolve) => {
      setTimeout(resolve, TRY_AGAIN_MS);
    });
  }
}

/** Reads an answer by its fields; throws `TpmError` where it has another form. */
export function readAnswer<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause;
    throw new TpmError('TPM_ANSWER_MALFORMED', `The TPM's answer to ${name} is malformed.`, {
      cause,
      facts: { command: name },
    });
  }
}

/** Part 1, 18: header, handles, authorization area with its length, parameters. */
function encode({ code, handles = [], sessions = [], parameters = [] }: TpmCommand): Uint8Array {
  const area = concatBytes(...sessions.map(sessionOf));
  const body = concatBytes(
    ...handles.map((handle) => bigEndian(handle, 4)),
    ...(sessions.length === 0 ? [] : [bigEndian(area.length, 4), area]),
    ...parameters,
  );
  const tag = sessions.length === 0 ? TAG_NO_SESSIONS : TAG_SESSIONS;
  const header = [bigEndian(tag, 2), bigEndian(10 + body.length, 4), bigEndian(code, 4)];
  return concatBytes(...header, body);
}

/** TPMS_AUTH_COMMAND (part 2, 10.13.2): handle, nonce, attributes, password or HMAC. */
function sessionOf(session: 'password' | number): Uint8Array {
  const isPassword = session === 'password';
  const attributes = bigEndian(isPassword ? CONTINUE_SESSION : 0, 1);
  const none = sized(new Uint8Array());
  return concatBytes(bigEndian(isPassword ? RS_PW : session, 4), none, attributes, none);
}

function decode(command: TpmCommand, answer: Uint8Array, rc: number): TpmAnswer {
  const { name } = command;
  if (rc !== RC_SUCCESS) {
    const rcName = responseName(rc);
    throw new TpmError('TPM_REFUSED', `The TPM refused ${name} with ${rcName}.`, {
      facts: { command: name, rc: rcName, rcCode: rc },
    });
  }
  return readAnswer(name, () => {
    const reader = new ByteReader(answer.subarray(10));
    const handle = command.hasHandleInAnswer === true ? reader.u32() : 0;
    if ((command.sessions ?? []).length === 0) return { handle, parameters: reader };
    // With sessions the parameters have a length; the authorizations of the answer follow.
    return { handle, parameters: new ByteReader(reader.sized32(answer.length)) };
  });
}

/** Whether the TPM refused with one of these response codes. */
export function isRefusal(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof TpmError && names.includes(String(error.facts['rc']));
}
