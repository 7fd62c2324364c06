import type { Command } from 'commander';
import * as help from '../commands/help.ts';
import type { World } from '../world.ts';
import { runWitness } from './witness.ts';

/** The command of whoever watches that a log tells one history. */
export function addWitness(program: Command, world: () => World): void {
  program
    .command('witness')
    .description('watch that a directory tells everybody the same history')
    .requiredOption('--data <dir>', "the witness's key and memory, in one file")
    .option('--listen <host:port>', 'where logs reach it; without it, only the logs are kept')
    .option('--log <vkey...>', 'logs to watch, by their verifier keys, beside those of before')
    .option('--name <name>', 'what it is called in policies, at its first start')
    .addHelpText('after', help.WITNESS)
    .action((options: { data: string; listen?: string; log?: string[]; name?: string }) =>
      runWitness(world(), {
        folder: options.data,
        listen: options.listen,
        name: options.name,
        logs: options.log ?? [],
      }),
    );
}
