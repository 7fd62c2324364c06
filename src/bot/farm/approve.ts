import { signEnvelope } from '../../identity/envelope.ts';
import { approvalSchema } from '../../identity/farm.ts';
import { formatBytes } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import { chooseNode, listNodes, openGrid } from '../grid.ts';
import { readFarms, readSelf } from '../store.ts';
import { shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { chooseFarm } from './farm.ts';

export type ApproveWish = { readonly node: string; readonly farm: string | undefined };

/** As few digits can't be met by chance, nor made by trying. */
const DIGITS_MIN = 20;

/** `zos farm approve`: signs that a node which waits is of a farm of yours. */
export async function approveNode(world: World, wish: ApproveWish): Promise<void> {
  const self = await readSelf(world.home);
  const farm = chooseFarm(await readFarms(world.home), wish.farm);
  const digits = wish.node.toLowerCase();
  if (!/^[0-9a-f]+$/u.test(digits) || digits.length < DIGITS_MIN) {
    const sentence = `Write at least the ${DIGITS_MIN} digits of its id that its screen shows.`;
    throw new BotError('USAGE', sentence);
  }
  const grid = await openGrid(world);
  const { known } = await listNodes(grid, world.nowMs());
  const { identity, offer } = chooseNode(known, digits);
  const node = identity.id;
  const approval = { grid: grid.name, farm: farm.id, farmer: self.identity.id, node };
  const signed = signEnvelope('node-approval', approvalSchema.parse(approval), self.keys.signing);
  const { state } = await grid.client.approveNode(node, signed);
  const { cru, mruBytes } = offer.capacity;
  const text =
    `Node ${shortId(node)} is of farm ${farm.name} now: ${cru} cores, ` +
    `${formatBytes(mruBytes)} of memory.\nIts screen says so within ten seconds.\n`;
  answer(world, { node, farm: farm.id, name: farm.name, state }, text);
}
