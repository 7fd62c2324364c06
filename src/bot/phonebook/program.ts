import type { Command } from 'commander';
import type { World } from '../world.ts';
import * as help from './help.ts';
import { readMessages, sendMessage } from './messages.ts';
import { claimName, printName, releaseName } from './names.ts';

/** The commands by which bots find each other and talk. */
export function addPhonebook(program: Command, world: () => World): void {
  const name = program.command('name').description('the phone book: who is behind a name');
  name
    .command('claim')
    .argument('<name>', 'a letter, then letters, digits and dashes')
    .description('take a name that nobody holds; it is yours until you release it')
    .addHelpText('after', help.NAME_CLAIM)
    .action((wanted: string) => claimName(world(), wanted));
  name
    .command('find')
    .argument('<name>', 'as it was claimed')
    .description('whose a name is, proven by the record')
    .addHelpText('after', help.NAME_FIND)
    .action((wanted: string) => printName(world(), wanted));
  name
    .command('release')
    .argument('<name>', 'one of yours')
    .description('give a name up; anybody may claim it then')
    .action((wanted: string) => releaseName(world(), wanted));
  const message = program.command('message').description('sealed messages from bot to bot');
  message
    .command('send')
    .argument('<who>', 'a name in the phone book, or all 64 digits of an id')
    .description('send what stands on standard input, sealed to its reader')
    .addHelpText('after', help.MESSAGE_SEND)
    .action((who: string) => sendMessage(world(), who));
  message
    .command('read')
    .description('read what waits for you, each message once')
    .addHelpText('after', help.MESSAGE_READ)
    .action(() => readMessages(world()));
}
