import { type Command, InvalidArgumentError, Option } from 'commander';
import { HOUR_MS } from '../../lib/units.ts';
import * as help from '../commands/help.ts';
import { parseDuration } from '../deployment/units.ts';
import type { World } from '../world.ts';
import { approveNode } from './approve.ts';
import { consentToDisk } from './disk.ts';
import { createFarm, makeTokens } from './farm.ts';
import { sleepNode, wakeNode } from './power.ts';
import { resumeRollout, stopRollout } from './rollout.ts';
import { farmTerms, type TermsWish } from './terms.ts';
import { farmUpdates } from './updates.ts';

/** The commands of a farmer. */
export function addFarm(program: Command, world: () => World): void {
  const farm = program.command('farm').description('what a farmer does: own nodes, let them join');
  farm
    .command('create')
    .argument('<name>', 'a-z, 0-9 and dashes')
    .description('sign a farm and tell the directory')
    .addHelpText('after', help.FARM_CREATE)
    .action((name: string) => createFarm(world(), name));
  farm
    .command('token')
    .description('sign join tokens: each lets one node join, once')
    .addOption(new Option('--count <n>', 'how many').argParser(countOf).default(1))
    .addOption(
      new Option('--valid <time>', 'how long they can be used')
        .argParser(durationOf)
        .default(24 * HOUR_MS, '24h'),
    )
    .option('--out <dir>', 'write a file each there; without it they are printed')
    .option('--farm <name>', 'which farm, when you have several')
    .option('--take-blank-disks', 'let the node use disks that are wholly blank, and no others')
    .option('--network <file>', 'sign how these nodes reach the network, where DHCP does not do')
    .addHelpText('after', help.FARM_TOKEN)
    .action((options: TokenOptions) =>
      makeTokens(world(), {
        farm: options.farm,
        count: options.count,
        validMs: options.valid,
        takeBlankDisks: options.takeBlankDisks === true,
        network: options.network,
        folder: options.out,
      }),
    );
  farm
    .command('approve')
    .argument('<node>', 'the digits of its id that its screen shows')
    .description('let a node that waits for its farmer join')
    .option('--farm <name>', 'which farm, when you have several')
    .addHelpText('after', help.FARM_APPROVE)
    .action((node: string, options: { farm?: string }) =>
      approveNode(world(), { node, farm: options.farm }),
    );
  addTerms(farm, world);
  addPower(farm, world);
  addUpdates(farm, world);
  addDisk(farm, world);
}

function addDisk(farm: Command, world: () => World): void {
  const disk = farm.command('disk').description('let a node have a disk, by its serial number');
  for (const [what, description] of [
    ['take', 'let a node use a disk that is wholly blank'],
    ['wipe', 'let a node wipe a disk, whatever is on it, and use it'],
  ] as const) {
    disk
      .command(what)
      .argument('<node>', 'the first digits of its id')
      .argument('<serial>', 'the serial number of the disk')
      .description(description)
      .option('--farm <name>', 'which farm, when you have several')
      .addHelpText('after', help.FARM_DISK)
      .action((node: string, serial: string, options: { farm?: string }) =>
        consentToDisk(world(), { do: what, node, serial, farm: options.farm }),
      );
  }
}

function addPower(farm: Command, world: () => World): void {
  farm
    .command('sleep')
    .argument('<node>', 'the first digits of its id')
    .description('switch an idle node off; a neighbour can wake it')
    .addHelpText('after', help.FARM_POWER)
    .action((node: string) => sleepNode(world(), node));
  farm
    .command('wake')
    .argument('<node>', 'the first digits of its id')
    .description('have a neighbour of a sleeping node call its network cards')
    .addHelpText('after', help.FARM_POWER)
    .action((node: string) => wakeNode(world(), node));
}

function addTerms(farm: Command, world: () => World): void {
  farm
    .command('terms')
    .description('where a farm is, what its capacity costs, and where you are paid')
    .option('--country <code>', 'sign its country: two letters, such as BE')
    .option('--city <name>', 'sign its city')
    .option('--at <lat,long>', 'sign its place, kept to a tenth of a degree')
    .option('--payout <address>', 'sign where you are paid')
    .option('--compute <price>', 'sign what a compute unit costs an hour, such as 0.0125')
    .option('--storage <price>', 'sign what a storage unit costs an hour')
    .option('--network <price>', 'sign what a network unit costs, a GB in or out')
    .option('--farm <name>', 'which farm, when you have several')
    .addHelpText('after', help.FARM_TERMS)
    .action((options: TermsWish) => farmTerms(world(), options));
}

function addUpdates(farm: Command, world: () => World): void {
  farm
    .command('updates')
    .description('when and how many of its nodes are updated, and how that goes')
    .option('--window <when>', 'sign when: such as "Sun 02:00-05:00" in UTC, or always')
    .option('--share <percent>', 'sign how many may be at it at a time, such as 25%')
    .option('--farm <name>', 'which farm, when you have several')
    .addHelpText('after', help.FARM_UPDATES)
    .action((options: UpdatesOptions) => {
      const { farm: name, window, share } = options;
      return farmUpdates(world(), { farm: name, window, share });
    });
  const rollout = farm.command('rollout').description('hold a release up, or let it go on');
  for (const [name, description, run] of [
    ['resume', 'let a release be tried again that was stopped', resumeRollout],
    ['stop', 'let no further node take a release up', stopRollout],
  ] as const) {
    rollout
      .command(name)
      .argument('<release>', 'its first digits')
      .description(description)
      .option('--farm <name>', 'which farm, when you have several')
      .addHelpText('after', help.FARM_ROLLOUT)
      .action((release: string, options: { farm?: string }) =>
        run(world(), { release, farm: options.farm }),
      );
  }
}

type UpdatesOptions = { farm?: string; window?: string; share?: string };

type TokenOptions = {
  count: number;
  valid: number;
  out?: string;
  farm?: string;
  takeBlankDisks?: true;
  network?: string;
};

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count;
  throw new InvalidArgumentError('Write a whole number from 1 to 1000.');
}

/** A duration out of an option; throws what commander tells people. */
export function durationOf(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined && durationMs > 0) return durationMs;
  throw new InvalidArgumentError('Write a duration such as 90m, 24h or 7d.');
}
