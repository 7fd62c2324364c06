import type { Command } from 'commander';
import * as help from '../commands/help.ts';
import type { World } from '../world.ts';
import { auditRecord } from '../audit/monitor.ts';
import { showEntry, verifyFile } from './show.ts';

const POLICY = ['--policy <file>', 'go by this policy, not by the one of first use'] as const;

/** The commands of whoever does not take the directory's word for its record. */
export function addRecord(program: Command, world: () => World): void {
  const record = program
    .command('record')
    .description('the public record: check all of it, or one entry, by yourself');
  record
    .command('audit')
    .option('-f, --follow', 'go on until Ctrl-C or the first alarm')
    .option(...POLICY)
    .description('check everything that the directory shows of its record; alarm when it lies')
    .addHelpText('after', help.RECORD_AUDIT)
    .action((options: { follow?: true; policy?: string }) =>
      auditRecord(world(), {
        isFollowed: options.follow === true,
        policyPath: options.policy,
      }),
    );
  record
    .command('show')
    .argument('<id>', 'the SHA-256 of what was recorded, such as a contract id')
    .description('show an entry, where it stands and who saw it')
    .action((id: string) => showEntry(world(), id));
  record
    .command('verify')
    .argument('<file>', 'a .tlog-proof file, or an envelope')
    .option(...POLICY)
    .description('check that what is in a file stands on the record')
    .addHelpText('after', help.RECORD_VERIFY)
    .action((path: string, options: { policy?: string }) =>
      verifyFile(world(), { path, policyPath: options.policy }),
    );
}
