import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mkdirSync } from 'node:fs';
import { sentenceOf } from '../src/lib/errors.ts';
import { BootError } from './errors.ts';
import { buildEnvironment } from './grid/release.ts';
import { HELP, parseWish } from './start/arguments.ts';
import { takeLock } from './start/lock.ts';
import { openScreen } from './start/screen.ts';
import { runTour } from './start/tour.ts';

const INTERRUPTED = 130;

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    console.error(sentenceOf(error));
    if (!(error instanceof BootError) && error instanceof Error) console.error(error.stack);
    process.exitCode = 1;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const wish = parseWish(args);
  if (wish.isHelp) {
    console.log(HELP);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    throw new BootError('NOT_ROOT', 'Networks and machines take root; run: sudo npm start');
  }
  const root = fileURLToPath(new URL('..', import.meta.url));
  mkdirSync(join(root, 'dist'), { recursive: true });
  using _lock = takeLock(join(root, 'dist/start.lock'), process.pid);
  const { env, stdout } = process;
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  // A terminal that was closed can't be written to any more; what is up is taken down all the same.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => stop.abort());
  using screen = openScreen({
    write: (text) => stdout.write(text),
    columns: () => (stdout.isTTY && env['TERM'] !== 'dumb' ? stdout.columns : undefined),
    hasColour: stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
    nowMs: () => performance.now(),
  });
  try {
    await runTour({
      ...wish,
      root,
      env: buildEnvironment(env),
      screen,
      signal: stop.signal,
    });
    return 0;
  } catch (error) {
    // Whatever breaks because it was told to end is no failure.
    if (stop.signal.aborted) return INTERRUPTED;
    throw error;
  }
}
