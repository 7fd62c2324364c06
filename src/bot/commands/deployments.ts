import { foundAlone, listContractIds } from '../deployments.ts';
import { openBooks, openGrid } from '../grid.ts';
import { readDeployments, readSelf } from '../store.ts';
import { shortId, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';

/** `zos deployments`: what this identity runs, from memory and from the directory's books. */
export async function printDeployments(world: World): Promise<void> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const books = openBooks(grid, self.identity.id);
  const saved = await readDeployments(world.home);
  const remembered = new Set(saved.flatMap(({ contracts }) => contracts));
  const ids = await listContractIds(grid, self.identity.id);
  const lost = ids.filter((id) => !remembered.has(id)).map(foundAlone);
  const found = await Promise.all(
    [...saved, ...lost].map(async ({ id, name, contracts }) => {
      const known = await books.contracts(contracts);
      const states = known.map(({ contract, receipt, state }) => ({
        node: contract.node,
        state: receipt?.state ?? state,
      }));
      return { id, name, contracts, states };
    }),
  );
  const rows = found.map(({ id, name, states }) => [
    name,
    id,
    states.map(({ node, state }) => `${state} on ${shortId(node)}`).join(', '),
  ]);
  const text =
    rows.length === 0
      ? 'Nothing is deployed; `zos deploy FILE` does.\n'
      : table([['name', 'id', 'contracts'], ...rows]);
  answer(world, found, text);
}
