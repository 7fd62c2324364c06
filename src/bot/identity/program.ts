import { type Command, InvalidArgumentError, Option } from 'commander';
import type { World } from '../world.ts';
import { addDevice, joinDevice, newDevice, removeDevice } from './device.ts';
import * as help from './help.ts';
import { newIdentity, rotateIdentity, showIdentity } from './identity.ts';
import { recoverIdentity, undoChanges } from './recovery.ts';
import { addService, removeService } from './contact.ts';
import { signPart } from './part.ts';
import { addMember, joinTeam, newTeam, removeMember, showTeam } from './team.ts';

type OpenWorld = () => World;

/** Who somebody is, and for whom they sign. */
export function addIdentity(program: Command, world: OpenWorld): void {
  const identity = program
    .command('identity')
    .description('who you are: keys made here, kept here');
  identity
    .command('new')
    .description('make your keys; they never leave this machine')
    .option('--name <name>', 'what others see beside your id', 'me')
    .addHelpText('after', help.IDENTITY_NEW)
    .action((options: { name: string }) => newIdentity(world(), options.name));
  identity
    .command('show')
    .description('show your id, and what of it changed')
    .action(() => showIdentity(world()));
  identity
    .command('rotate')
    .description('replace every key that this machine holds')
    .addHelpText('after', help.IDENTITY_ROTATE)
    .action(() => rotateIdentity(world()));
  addDevices(identity, world);
  addServices(identity, world);
  identity
    .command('recover')
    .argument('<id>', 'yours')
    .description('get your identity back, with the 24 words on standard input')
    .addHelpText('after', help.IDENTITY_RECOVER)
    .action((id: string) => recoverIdentity(world(), id));
  identity
    .command('undo')
    .description('take back the newest change, with the 24 words on standard input')
    .addOption(new Option('--changes <n>', 'as many as that').argParser(countOf).default(1))
    .addHelpText('after', help.IDENTITY_UNDO)
    .action((options: { changes: number }) => undoChanges(world(), options.changes));
  addTeams(program, world);
}

function addDevices(identity: Command, world: OpenWorld): void {
  const device = identity
    .command('device')
    .description('other machines of yours, each with a key of its own')
    .addHelpText('after', help.IDENTITY_DEVICE);
  device
    .command('new')
    .description('make the keys of this machine, and print what its owner adds')
    .requiredOption('--name <name>', 'what you call this machine')
    .action((options: { name: string }) => newDevice(world(), options.name));
  device
    .command('add')
    .argument('<file>', 'what `zos identity device new` printed')
    .description('let that machine sign for you')
    .action((file: string) => addDevice(world(), file));
  device
    .command('join')
    .argument('<id>', 'of the identity that added this machine')
    .description('sign for that identity from now on')
    .action((id: string) => joinDevice(world(), id));
  device
    .command('remove')
    .argument('<name>', 'of the machine')
    .description('let that machine sign nothing more for you')
    .action((name: string) => removeDevice(world(), name));
}

function addServices(identity: Command, world: OpenWorld): void {
  const service = identity.command('service').description('where you can be reached, for what');
  service
    .command('add')
    .argument('<name>', 'what it is for')
    .argument('<url>', 'where it is')
    .description('say in your identity where that is')
    .action((name: string, url: string) => addService(world(), { name, url }));
  service
    .command('remove')
    .argument('<name>', 'what it was for')
    .description('take it out of your identity')
    .action((name: string) => removeService(world(), name));
}

function addTeams(program: Command, world: OpenWorld): void {
  const team = program
    .command('team')
    .description('identities whose keys are other identities')
    .addHelpText('after', help.TEAM);
  const threshold = (): Option =>
    new Option('--threshold <n>', 'how many of them have to sign').argParser(countOf);
  team
    .command('new')
    .argument('<name>', 'what you call it')
    .option('--member <id...>', 'who signs for it beside you')
    .addOption(threshold().default(1))
    .description('make a team, with yourself in it')
    .action((name: string, options: { member?: string[]; threshold: number }) =>
      newTeam(world(), { name, members: options.member ?? [], threshold: options.threshold }),
    );
  team
    .command('join')
    .argument('<id>', 'of the team')
    .description('take up a team that you are in')
    .action((id: string) => joinTeam(world(), id));
  team
    .command('show')
    .argument('<name>', 'what it is called here')
    .description('who is in it, and how many of them have to sign')
    .action((name: string) => showTeam(world(), name));
  for (const [name, description, run] of [
    ['add', 'one more who signs for it', addMember],
    ['remove', 'one less; what they signed before runs on', removeMember],
  ] as const) {
    team
      .command(name)
      .argument('<team>', 'what it is called here')
      .argument('<id>', 'of the member')
      .addOption(threshold())
      .description(description)
      .action((wanted: string, member: string, options: { threshold?: number }) =>
        run(world(), { team: wanted, member, threshold: options.threshold }),
      );
  }
  program
    .command('sign')
    .argument('<file>', 'what another member signed before you')
    .description('add your signature for a team, and send when enough have signed')
    .addHelpText('after', help.SIGN)
    .action((file: string) => signPart(world(), file));
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 16) return count;
  throw new InvalidArgumentError('Write a whole number from 1 to 16.');
}
