import { join, resolve } from 'node:path';
import { addReleaseCommands } from './release/commands.ts';
import { runCommands } from './surroundings.ts';

const AFTER = `
Examples:
  $ zos release                                     sign what was built
  $ zos release keys --make /media/safe/root-4.key  a key of the root for somebody to hold
  $ zos release rotate root --public root-4.pub --instead-of 5f3a
  $ zos release sign --root-key /media/safe/root-1.key
  $ zos release publish --directory http://192.0.2.1:8080

Two of the three keys of the root sign a new root, and need never be on one machine: carry the file
proposed.root.json to each. Everything else is signed by one key each, which a new root replaces.
`;

/** `zos release COMMAND`: the keys of a release, and what they sign. */
if (import.meta.main) {
  const { argv, env } = process;
  process.exitCode = await runCommands(
    { args: argv.slice(2), env, nowMs: () => Date.now() },
    {
      name: 'zos release',
      description: 'The keys of a release, and what they sign.',
      after: AFTER,
    },
    (program, around) => {
      program
        .option('--keys <dir>', 'where the keys are (dist/keys)')
        .option('--release <dir>', 'where the release is (dist/release)');
      addReleaseCommands(program, () => {
        const parts = around();
        const { keys, release } = program.opts<{ keys?: string; release?: string }>();
        return {
          ...parts,
          keysPath: resolve(keys ?? join(parts.root, 'dist/keys')),
          releasePath: resolve(release ?? join(parts.root, 'dist/release')),
        };
      });
    },
  );
}
