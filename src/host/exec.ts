import { Duplex } from 'node:stream';
import { execa, ExecaError } from 'execa';
import { ZosError } from '../lib/errors.ts';
import { MiB, SECOND_MS } from '../lib/units.ts';

export class ExecError extends ZosError<
  'TOOL_MISSING' | 'TOOL_FAILED' | 'TOOL_TOO_SLOW' | 'TOOL_TOO_LOUD' | 'TOOL_ABORTED'
> {}

export type Command = {
  /** The program: an absolute path, or a name looked up in `TOOL_PATH` only. */
  readonly file: string;
  readonly args: readonly string[];
  /** What the program reads on standard input; secrets go here, never in `args`. */
  readonly stdin?: string | Uint8Array | OpenFile;
  /** Where both its outputs go instead of being returned; it may outlive who opened it. */
  readonly outputTo?: OpenFile;
  /** A file that the program finds at `/proc/self/fd/3`. */
  readonly alsoFile?: OpenFile;
  readonly deadlineMs?: number;
  /** The most the program may print. */
  readonly outputBytesMax?: number;
  readonly signal?: AbortSignal;
  /** Its exit status says something about the world and not that it failed. */
  readonly isStatusAnswer?: boolean;
  readonly cwd?: string;
  /** The whole environment beside `PATH`; nothing is inherited. */
  readonly env?: Readonly<Record<string, string>>;
};

/** An open file by its descriptor, handed on to a program as it is. */
export type OpenFile = { readonly fd: number };

/** Where tools are looked up: nothing that a user can write to. */
export const TOOL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

const DEADLINE_MS = 30 * SECOND_MS;
const OUTPUT_BYTES_MAX = 16 * MiB;

/** Runs a program without a shell and returns what it printed; throws `ExecError`. */
export async function run(command: Command): Promise<string> {
  const tool = command.file.split('/').at(-1) ?? command.file;
  try {
    const { stdout } = await execa(command.file, [...command.args], {
      env: { PATH: TOOL_PATH, LC_ALL: 'C', ...command.env },
      extendEnv: false,
      shell: false,
      stripFinalNewline: false,
      timeout: command.deadlineMs ?? DEADLINE_MS,
      maxBuffer: command.outputBytesMax ?? OUTPUT_BYTES_MAX,
      forceKillAfterDelay: SECOND_MS,
      ...stdioOf(command),
      ...(command.signal === undefined ? {} : { cancelSignal: command.signal }),
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
    return typeof stdout === 'string' ? stdout : '';
  } catch (cause) {
    const printed = cause instanceof ExecaError ? cause.stdout : undefined;
    const isAnswer = command.isStatusAnswer === true && typeof printed === 'string';
    if (isAnswer && cause instanceof ExecaError && cause.exitCode !== undefined) return printed;
    throw execErrorOf(tool, command, cause);
  }
}

/**
 * Runs a program on this program's own terminal, which talks for itself, and answers its exit
 * status; throws `ExecError` when it could not be run.
 */
export async function runOnTerminal(
  command: Pick<Command, 'file' | 'args' | 'env' | 'signal'>,
): Promise<number> {
  const { exitCode, cause } = await execa(command.file, [...command.args], {
    env: { PATH: TOOL_PATH, ...command.env },
    extendEnv: false,
    stdio: 'inherit',
    reject: false,
    // Ctrl-C reaches both; this program ends when that one has, not by the signal.
    cleanup: false,
    forceKillAfterDelay: 10 * SECOND_MS,
    ...(command.signal === undefined ? {} : { cancelSignal: command.signal }),
  });
  if (exitCode !== undefined) return exitCode;
  if (command.signal?.aborted === true) return INTERRUPTED;
  throw new ExecError('TOOL_FAILED', `${command.file} could not be run.`, { cause });
}

/** The exit status of what a signal ended, as shells have it. */
const INTERRUPTED = 130;

/** Execa takes any descriptor; its types know the first few only. */
type Descriptor = 3;

function stdioOf({ stdin, outputTo, alsoFile }: Command) {
  const isText = typeof stdin === 'string' || stdin instanceof Uint8Array;
  const inward = isText ? 'pipe' : stdin === undefined ? 'ignore' : (stdin.fd as Descriptor);
  const outward = outputTo === undefined ? 'pipe' : (outputTo.fd as Descriptor);
  const more = alsoFile === undefined ? [] : [alsoFile.fd as Descriptor];
  const stdio = [inward, outward, outward, ...more] as const;
  return isText ? { stdio, input: stdin } : { stdio };
}

export type LongCommand = Omit<Command, 'stdin' | 'outputTo' | 'deadlineMs' | 'outputBytesMax'> & {
  /** Each line of both its outputs, cut at `LINE_CHARS_MAX`. */
  readonly onLine?: (line: string) => void;
  /** On a node, whose image has no setpriv: what an agent leaves behind is ended by PID 1. */
  readonly isOnNode?: boolean;
};

export type Running = AsyncDisposable & {
  readonly pid: number;
  /** Settles when it has ended, whatever the reason; never rejects. */
  readonly ended: Promise<{
    readonly exitCode: number | undefined;
    readonly signal: string | undefined;
  }>;
  /** Asks it to end, and makes it after a second. */
  readonly stop: () => Promise<void>;
};

const LINE_CHARS_MAX = 4096;

/**
 * Starts a program that runs beside this one. But on a node, the kernel ends it when this program
 * ends, however that comes about (PR_SET_PDEATHSIG). Throws `ExecError` when it can't be started
 * at all.
 */
export function start(command: LongCommand): Running {
  const tool = command.file.split('/').at(-1) ?? command.file;
  const bound = command.isOnNode === true ? [] : ['setpriv', '--pdeathsig', 'KILL'];
  const [file = command.file, ...args] = [...bound, command.file, ...command.args];
  const child = execa(file, args, {
    env: { PATH: TOOL_PATH, LC_ALL: 'C', ...command.env },
    extendEnv: false,
    stdin: 'ignore',
    buffer: false,
    reject: false,
    forceKillAfterDelay: SECOND_MS,
    ...(command.signal === undefined ? {} : { cancelSignal: command.signal }),
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  });
  const { pid } = child;
  if (pid === undefined) throw new ExecError('TOOL_FAILED', `${tool} could not be started.`);
  // Each by itself: a line of one is never cut in two by the other.
  readLines(child.stdout, command.onLine);
  readLines(child.stderr, command.onLine);
  const ended = child.then(({ exitCode, signal }) => ({ exitCode, signal }));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  return { pid, ended, stop, [Symbol.asyncDispose]: stop };
}

/**
 * Starts a program that has one end of a socket as its descriptor 3, the other is ours. It is up to
 * the program to end with us. Throws `ExecError` when it can't be started at all.
 */
export function startWithSocket(command: LongCommand): Running & { readonly socket: Duplex } {
  const child = execa(command.file, [...command.args], {
    env: { PATH: TOOL_PATH, LC_ALL: 'C', ...command.env },
    extendEnv: false,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    buffer: false,
    reject: false,
  });
  const { pid } = child;
  const socket = child.stdio[3] as unknown;
  if (pid === undefined || !(socket instanceof Duplex)) {
    throw new ExecError('TOOL_FAILED', `${command.file} could not be started.`);
  }
  readLines(child.stdout, command.onLine);
  readLines(child.stderr, command.onLine);
  const ended = child.then(({ exitCode, signal }) => ({ exitCode, signal }));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { pid, socket, ended, stop, [Symbol.asyncDispose]: stop };
}

function readLines(
  stream: NodeJS.ReadableStream,
  onLine: ((line: string) => void) | undefined,
): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/\r*\n/u);
    rest = (lines.pop() ?? '').slice(-LINE_CHARS_MAX);
    for (const line of lines) onLine?.(line.slice(0, LINE_CHARS_MAX));
  });
  stream.on('end', () => {
    if (rest !== '') onLine?.(rest);
  });
}

function execErrorOf(tool: string, command: Command, cause: unknown): ExecError {
  if (!(cause instanceof ExecaError)) {
    return new ExecError('TOOL_FAILED', `${tool} could not be run.`, { cause });
  }
  // The arguments hold no secret by rule; what was written to standard input never enters an error.
  const facts = {
    tool,
    args: command.args,
    exitCode: cause.exitCode,
    signal: cause.signal,
    stderr: (cause.stderr ?? '').slice(-2000),
  };
  if (cause.code === 'ENOENT') {
    return new ExecError('TOOL_MISSING', `${tool} is not installed; install it and try again.`, {
      facts,
    });
  }
  if (cause.timedOut) {
    return new ExecError('TOOL_TOO_SLOW', `${tool} did not end within its deadline.`, { facts });
  }
  if (cause.isCanceled) return new ExecError('TOOL_ABORTED', `${tool} was stopped.`, { facts });
  if (cause.isMaxBuffer) {
    return new ExecError('TOOL_TOO_LOUD', `${tool} printed more than was allowed.`, { facts });
  }
  const reason = facts.stderr.trim().split('\n').at(-1) ?? '';
  return new ExecError('TOOL_FAILED', `${tool} failed: ${reason || `exit ${cause.exitCode}`}`, {
    facts,
  });
}
