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
  readonly stdin?: string | Uint8Array;
  readonly deadlineMs?: number;
  /** The most the program may print. */
  readonly outputBytesMax?: number;
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** The whole environment beside `PATH`; nothing is inherited. */
  readonly env?: Readonly<Record<string, string>>;
};

/** Where tools are looked up: nothing that a user can write to. */
export const TOOL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

const DEADLINE_MS = 30 * SECOND_MS;
const OUTPUT_BYTES_MAX = 16 * MiB;

/** Runs a program without a shell and returns what it printed; throws `ExecError`. */
export async function run(command: Command): Promise<string> {
  const tool = command.file.split('/').at(-1) ?? command.file;
  try {
    const result = await execa(command.file, [...command.args], {
      env: { PATH: TOOL_PATH, LC_ALL: 'C', ...command.env },
      extendEnv: false,
      shell: false,
      stripFinalNewline: false,
      timeout: command.deadlineMs ?? DEADLINE_MS,
      maxBuffer: command.outputBytesMax ?? OUTPUT_BYTES_MAX,
      forceKillAfterDelay: SECOND_MS,
      ...(command.stdin === undefined ? { stdin: 'ignore' as const } : { input: command.stdin }),
      ...(command.signal === undefined ? {} : { cancelSignal: command.signal }),
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
    return result.stdout;
  } catch (cause) {
    throw execErrorOf(tool, command, cause);
  }
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
