import { Command, CommanderError } from 'commander';
import { paint } from '../lib/colour.ts';
import { codeOf, sentenceOf } from '../lib/errors.ts';
import { verifyNodeClass } from './attestation/verify.ts';
import { cancel } from './commands/cancel.ts';
import { deploy } from './commands/deploy.ts';
import { printDeployments } from './commands/deployments.ts';
import { handOver, type HandedOver } from './boot/hand-over.ts';
import { printImage } from './commands/image.ts';
import { printLogs } from './commands/logs.ts';
import { addNodes } from './capacity/program.ts';
import { renew } from './commands/renew.ts';
import { printStatus } from './commands/status.ts';
import { deploymentJsonSchema } from './deployment/schema.ts';
import { BotError, EXIT, exitCodeOf } from './errors.ts';
import * as help from './commands/help.ts';
import { addFarm, durationOf } from './farm/program.ts';
import { addIdentity } from './identity/program.ts';
import type { Terminal } from './terminal.ts';
import { addPhonebook } from './phonebook/program.ts';
import { addRecord } from './record/program.ts';
import { addWitness } from './witness/program.ts';
import type { World } from './world.ts';

/** What `main.ts` knows of the process and the machine. */
export type Surroundings = {
  readonly homePath: string;
  readonly directoryUrl: string | undefined;
  readonly terminal: Terminal;
  readonly nowMs: () => number;
  readonly environment: (name: string) => string | undefined;
  readonly input: () => Promise<string>;
  readonly signal: AbortSignal;
};

/** Runs the command `zos` with these arguments; answers its exit code and never throws. */
export async function runZos(args: readonly string[], around: Surroundings): Promise<number> {
  const ended = { exitCode: EXIT.done as number };
  const program = programOf(around, ended);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return ended.exitCode;
  } catch (error) {
    // Commander throws after help or version too, with status 0, and has written its own words.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return report(error, around, program.opts<{ json?: true }>().json === true);
  }
}

function report(error: unknown, { terminal, signal }: Surroundings, isJson: boolean): number {
  if (signal.aborted && !(error instanceof BotError)) {
    terminal.err('Stopped.\n');
    return EXIT.interrupted;
  }
  const code = codeOf(error);
  const sentence = sentenceOf(error);
  if (isJson) {
    terminal.err(`${JSON.stringify({ error: { code, sentence } })}\n`);
  } else {
    terminal.err(`${paint(terminal, 'red', 'zos:')} ${sentence}\n`);
    if (code === 'UNEXPECTED' && error instanceof Error) terminal.err(`${error.stack ?? ''}\n`);
  }
  return exitCodeOf(error);
}

type GlobalOptions = { home?: string; directory?: string; team?: string; json?: true };

/** Programs that `zos` hands over to have exit codes of their own. */
type Ended = { exitCode: number };

function programOf(around: Surroundings, ended: Ended): Command {
  const { terminal } = around;
  const program = new Command('zos')
    .description(help.PROGRAM)
    .option('--directory <url>', 'the grid to talk to; remembered after first use (ZOS_DIRECTORY)')
    .option('--home <dir>', 'where keys and memory are kept (ZOS_HOME, else ~/.config/zos)')
    .option('--team <name>', 'act for a team that you are in, and not for yourself')
    .option('--json', 'answers and errors as JSON, for programs')
    .addHelpText('after', help.PROGRAM_AFTER)
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false, helpWidth: 96 })
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      outputError: (text, write) => write(text.replace(/^error: /, 'zos: ')),
    })
    .exitOverride();
  const world = (): World => {
    const { home, directory, json, team } = program.opts<GlobalOptions>();
    return {
      home: { path: home ?? around.homePath, team },
      directoryUrl: directory ?? around.directoryUrl,
      isJson: json === true,
      terminal,
      nowMs: around.nowMs,
      environment: around.environment,
      input: around.input,
      signal: around.signal,
    };
  };
  addIdentity(program, world);
  addFarm(program, world);
  addNodes(program, world);
  addDeployments(program, world);
  addRenew(program, world);
  addVerify(program, world, ended);
  addRecord(program, world);
  addPhonebook(program, world);
  addWitness(program, world);
  addFiles(program, world);
  addHandedOver(program, world, ended);
  return program;
}

type OpenWorld = () => World;

type DeployOptions = { dryRun?: true; erase?: string[]; out?: string };

function addDeployments(program: Command, world: OpenWorld): void {
  program
    .command('deploy')
    .argument('<file>', 'a deployment in YAML or JSON')
    .option('--dry-run', 'show what would be signed, and send nothing')
    .option('--erase <volume...>', 'volumes that may go with all that is in them')
    .option('--out <file>', 'of a team: write what the next member has to sign')
    .description('place, sign and send a deployment, and follow it until it runs')
    .addHelpText('after', help.DEPLOY)
    .action((file: string, options: DeployOptions) =>
      deploy(world(), { ...options, file, isDryRun: options.dryRun === true }),
    );
  program
    .command('deployments')
    .description('what you have deployed')
    .action(() => printDeployments(world()));
  program
    .command('status')
    .argument('<id>', 'its name, or the first digits of its id')
    .description('how each container stands, and why')
    .action((id: string) => printStatus(world(), id));
  program
    .command('logs')
    .argument('<id/name>', 'the deployment and the container, such as hello/web')
    .option('-f, --follow', 'go on until Ctrl-C')
    .description('what a container printed; sealed by its node, for you alone')
    .addHelpText('after', help.LOGS)
    .action((wanted: string, options: { follow?: true }) =>
      printLogs(world(), { wanted, isFollowed: options.follow === true }),
    );
  program
    .command('cancel')
    .argument('<id>', 'its name, or the first digits of its id')
    .description('end a deployment now, volumes and all, and follow until its nodes say so')
    .option('--out <file>', 'of a team: write what the next member has to sign')
    .action((id: string, options: { out?: string }) =>
      cancel(world(), { wanted: id, out: options.out }),
    );
}

function addRenew(program: Command, world: OpenWorld): void {
  program
    .command('renew')
    .argument('<id>', 'its name, or the first digits of its id')
    .requiredOption('--for <duration>', 'how long from now, such as 24h', durationOf)
    .description('let a deployment run on, as it is and at its price')
    .option('--out <file>', 'of a team: write what the next member has to sign')
    .addHelpText('after', help.RENEW)
    .action((id: string, options: { for: number; out?: string }) =>
      renew(world(), { wanted: id, durationMs: options.for, out: options.out }),
    );
}

function addVerify(program: Command, world: OpenWorld, ended: Ended): void {
  program
    .command('verify')
    .description('check by yourself what others say')
    .command('node')
    .argument('<id>', 'the first digits of its id')
    .option('--root <file>', "the release's root.json, when it shall not be believed at first use")
    .description("ask a node's TPM what it booted, and judge the answer here")
    .addHelpText('after', help.VERIFY_NODE)
    .action(async (node: string, options: { root?: string }) => {
      ended.exitCode = await verifyNodeClass(world(), { node, rootPath: options.root });
    });
}

function addFiles(program: Command, world: OpenWorld): void {
  program
    .command('image')
    .argument('<file>', 'a root file system in EROFS')
    .option('--url <url...>', 'where nodes can fetch it')
    .description('print the block that names an image in a deployment file')
    .addHelpText('after', help.IMAGE)
    .action((file: string, options: { url?: string[] }) =>
      printImage(world(), { file, urls: options.url ?? [] }),
    );
  program
    .command('schema')
    .description('print the JSON Schema of deployment files, for editors')
    .addHelpText('after', help.SCHEMA)
    .action(() => world().terminal.out(deploymentJsonSchema()));
}

const HANDED_OVER: Readonly<Record<HandedOver, string>> = {
  boot: 'what machines boot from: mirrors and boot media',
  release: 'keys, signing and publishing of releases',
  directory: 'run a directory, back it up, restore it',
};

function addHandedOver(program: Command, world: OpenWorld, ended: Ended): void {
  for (const name of ['boot', 'release', 'directory'] as const) {
    program
      .command(name)
      .argument('[args...]')
      .description(HANDED_OVER[name])
      .usage(`COMMAND; see \`zos ${name} --help\``)
      .helpOption(false)
      .allowUnknownOption()
      .action(async (args: string[]) => {
        ended.exitCode = await handOver(world(), name, args);
      });
  }
}
