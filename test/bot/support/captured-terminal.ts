import { runZos } from '../../../src/bot/program.ts';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

export type Bench = {
  readonly homePath: string;
  readonly directoryUrl?: string;
  readonly signal?: AbortSignal;
  readonly environment?: Readonly<Record<string, string>>;
  readonly hasColour?: boolean;
  /** What stands on its standard input. */
  readonly input?: string;
};

/** Runs `zos` in this process and keeps what it says. */
export async function zos(bench: Bench, ...args: readonly string[]): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await runZos(args, {
    homePath: bench.homePath,
    directoryUrl: bench.directoryUrl,
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isErrScreen: false,
      columns: 80,
      hasColour: bench.hasColour === true,
    },
    nowMs: () => Date.now(),
    environment: (name) => bench.environment?.[name],
    input: async () => bench.input ?? '',
    signal: bench.signal ?? new AbortController().signal,
  });
  return { code, out, err };
}
