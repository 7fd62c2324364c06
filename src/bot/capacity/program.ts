import { type Command, Option } from 'commander';
import * as help from '../commands/help.ts';
import { explain } from '../questions/explain.ts';
import { askLook } from '../questions/look.ts';
import { GRAPH_FORMS, type GraphForm } from '../questions/graph.ts';
import type { World } from '../world.ts';
import { printNodes } from './nodes.ts';
import { showNode } from './shown.ts';
import type { NodesOptions } from './wish.ts';

/** `zos nodes` and what belongs to it. */
export function addNodes(program: Command, world: () => World): void {
  const nodes = program
    .command('nodes')
    .alias('node')
    .description('the nodes of the grid, what they offer and what of it is free')
    .option('--cpu <count>', 'with so many processors free')
    .option('--memory <size>', 'with so much memory free, such as 4GiB')
    .option('--ssd <size>', 'with so much solid-state storage free')
    .option('--hdd <size>', 'with so much rotating storage')
    .option('--country <code>', 'in this country, such as BE')
    .option('--class <class>', 'that proved at least this of its boot')
    .option('--farm <farm>', 'of this farm: its id, or the name of one of yours')
    .option('--feature <name...>', 'that can do this, such as tpm or x86-64-v3')
    .option('--price <price>', 'on which that costs at most so much an hour')
    .option('--online', 'heard of in the last minutes')
    .addHelpText('after', help.NODES)
    .action((options: NodesOptions) => printNodes(world(), options));
  nodes
    .command('show')
    .argument('<id>', 'the first digits of its id')
    .description('how one node is: what is wrong with it, why it started, what it has')
    .addHelpText('after', help.NODES_SHOW)
    .action((id: string) => showNode(world(), id));
  nodes
    .command('ask')
    .argument('<id>', 'the first digits of the id of a node of your farm')
    .argument('<question>', 'clock, disks, kernel-log, links, name, packets, reach or route')
    .argument('[about]', 'what it is about: a host name, HOST:PORT or an address')
    .description('look at one of your machines, as a person with a shell would')
    .addHelpText('after', help.NODES_ASK)
    .action((node: string, what: string, about?: string) =>
      askLook(world(), { node, what, about }),
    );
  nodes
    .command('explain')
    .argument('<id>', 'a deployment, a contract of yours, or a node of your farm')
    .description('what is wanted there, what there is, and what each thing waits for')
    .addOption(new Option('--graph <form>', 'what needs what, as a graph').choices(GRAPH_FORMS))
    .addHelpText('after', help.NODES_EXPLAIN)
    .action(async (wanted: string, { graph }: { graph?: GraphForm }) =>
      explain(world(), { wanted, graph }),
    );
}
