import { addMedia } from './media/command.ts';
import { addMirror } from './mirror/command.ts';
import { runCommands } from './surroundings.ts';

/** `zos boot COMMAND`: what machines boot from. Each command has a folder of its own. */
if (import.meta.main) {
  const { argv, env } = process;
  process.exitCode = await runCommands(
    { args: argv.slice(2), env, nowMs: () => Date.now() },
    { name: 'zos boot', description: 'What machines boot from.' },
    (program, around) => {
      addMedia(program, around);
      addMirror(program, around);
    },
  );
}
