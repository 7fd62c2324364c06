import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { codeOf, sentenceOf } from '../src/lib/errors.ts';
import { addMedia } from './media/command.ts';
import { EXIT, exitCodeOf, type Surroundings } from './surroundings.ts';

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));

/** `zos boot COMMAND`: what machines boot from. Each command has a file of its own. */
async function main(args: readonly string[]): Promise<number> {
  const { env, stdout, stderr } = process;
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  const program = new Command('zos boot')
    .description('What machines boot from.')
    .option('--json', 'answers and errors as JSON, for programs')
    .helpCommand(false)
    .configureHelp({ helpWidth: 96 })
    .exitOverride();
  const around = (): Surroundings => ({
    root: fileURLToPath(new URL('..', import.meta.url)),
    home: env['ZOS_HOME'] ?? join(homedir(), '.config/zos'),
    directoryUrl: env['ZOS_DIRECTORY'],
    isJson: program.opts<{ json?: true }>().json === true,
    out: (text) => stdout.write(text),
    err: (text) => stderr.write(text),
    nowMs: () => Date.now(),
    signal: stop.signal,
  });
  addMedia(program, around);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (stop.signal.aborted) return EXIT.interrupted;
    const told = { code: codeOf(error), sentence: sentenceOf(error) };
    const text = around().isJson ? JSON.stringify({ error: told }) : `zos boot: ${told.sentence}`;
    stderr.write(`${text}\n`);
    return exitCodeOf(error);
  }
}
