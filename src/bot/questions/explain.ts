import { randomBytes } from 'node:crypto';
import { type Explanation, parseExplanation } from '../../contract/explain/explanation.ts';
import { toHex } from '../../lib/bytes.ts';
import { askNode, type Asker } from './ask.ts';
import { findDeployment } from '../deployments.ts';
import { BotError } from '../errors.ts';
import { chooseNode, listNodes, openBooks, openGrid } from '../grid.ts';
import { readSelf } from '../store.ts';
import { shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { type GraphForm, printGraph } from './graph.ts';
import { explanationText } from './text.ts';

export type ExplainWish = { readonly wanted: string; readonly graph: GraphForm | undefined };

/** What is asked about: contracts of one's own, or a whole node, which its farmer may. */
type Place = { readonly node: string; readonly contract: string | null };

/**
 * `zos nodes explain`: why something is as it is, by its node's own signed word. The name or id of
 * a deployment is asked of each of its nodes; any other id is a node's.
 */
export async function explain(world: World, { wanted, graph }: ExplainWish): Promise<void> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const asker: Asker = { world, grid, self, books: openBooks(grid, self.identity.id) };
  const places = await placesOf(asker, wanted);
  const told: { place: Place; explanation: Explanation }[] = [];
  for (const place of places) {
    const nonce = toHex(randomBytes(16));
    const { node, contract } = place;
    const question = { ask: 'explain', node, contract, nonce } as const;
    const bytes = await askNode(asker, question, `node ${shortId(node)}`);
    told.push({ place, explanation: parseExplanation(bytes) });
  }
  const texts = told.map(({ place, explanation }) =>
    graph === undefined
      ? `${titleOf(place)}\n\n${explanationText(explanation)}`
      : printGraph(explanation, graph),
  );
  answer(
    world,
    told.map(({ explanation }) => explanation),
    texts.join('\n'),
  );
}

function titleOf({ node, contract }: Place): string {
  const of = contract === null ? '' : `, contract ${shortId(contract)}`;
  return `Node ${shortId(node)}${of}, by its own signed word`;
}

async function placesOf({ world, grid, self, books }: Asker, wanted: string): Promise<Place[]> {
  const tenant = self.identity.id;
  try {
    const found = await findDeployment(world, grid, { wanted, tenant });
    const known = await books.contracts(found.contracts);
    return known.map(({ contract }) => ({ node: contract.node, contract: contract.id }));
  } catch (error) {
    if (!(error instanceof BotError) || !/^[0-9a-f]{4,64}$/u.test(wanted)) throw error;
    const { known } = await listNodes(grid, world.nowMs());
    if (!known.some(({ identity }) => identity.id.startsWith(wanted))) throw error;
    return [{ node: chooseNode(known, wanted).identity.id, contract: null }];
  }
}
