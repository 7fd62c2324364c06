import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type PowerAnswer,
  powerAnswerSchema,
  type PowerOrder,
} from '../../contract/health/power.ts';
import { openAnswer, questionId } from '../../contract/question.ts';
import { signQuestion } from '../../contract/sign.ts';
import { toHex } from '../../lib/bytes.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import { chooseNode, type Grid, type KnownNode, listNodes, openGrid } from '../grid.ts';
import { readSelf, type Self } from '../store.ts';
import { openProgress, plain, shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';

const ANSWER_WAIT_MS = 60 * SECOND_MS;
const ASK_EVERY_MS = 300;

type Asker = { readonly world: World; readonly grid: Grid; readonly self: Self };

/** `zos farm sleep`: has an idle node switch itself off, when there is another to wake it. */
export async function sleepNode(world: World, prefix: string): Promise<void> {
  const { asker, node, known } = await openFarm(world, prefix);
  neighbourOf(node, known);
  const said = await order(asker, node, { do: 'sleep' });
  tell(world, node, said);
}

/** `zos farm wake`: has a neighbour of a sleeping node call its network cards. */
export async function wakeNode(world: World, prefix: string): Promise<void> {
  const { asker, node, known } = await openFarm(world, prefix);
  const cards = node.heartbeat?.cards ?? [];
  if (cards.length === 0) {
    const sentence = `Node ${shortId(node.identity.id)} never told by which cards to wake it.`;
    throw new BotError('NODE_UNKNOWN', `${sentence} Switch it on by hand.`);
  }
  const neighbour = neighbourOf(node, known);
  tell(world, neighbour, await order(asker, neighbour, { do: 'wake', cards }));
}

async function openFarm(world: World, prefix: string) {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const { known } = await listNodes(grid, world.nowMs());
  return { asker: { world, grid, self }, node: chooseNode(known, prefix), known };
}

/** Another node of the same farm that is awake; it need not be on the same wire to be asked. */
function neighbourOf(node: KnownNode, known: readonly KnownNode[]): KnownNode {
  const neighbour = known.find(
    ({ identity, farm, isOnline }) =>
      isOnline && farm === node.farm && identity.id !== node.identity.id,
  );
  if (neighbour !== undefined) return neighbour;
  const who = shortId(node.identity.id);
  throw new BotError('NODE_UNKNOWN', `No other node of the farm of ${who} is awake to wake it.`);
}

async function order(
  { world, grid, self }: Asker,
  { identity }: KnownNode,
  wish: PowerOrder,
): Promise<PowerAnswer> {
  const who = `node ${shortId(identity.id)}`;
  using progress = openProgress(world.terminal, world.nowMs, `asking ${who}`);
  const startedMs = world.nowMs();
  const question = signQuestion(
    {
      grid: grid.name,
      ask: 'power',
      order: wish,
      node: identity.id,
      tenant: self.identity.id,
      nonce: toHex(randomBytes(16)),
      atMs: startedMs,
    },
    self.keys.signing,
  );
  await grid.client.askQuestion({ question, tenant: self.document });
  const id = questionId(question);
  for (;;) {
    const envelope = await grid.client.answer(id);
    if (envelope !== null) {
      const expected = { node: identity, grid: grid.name, question: id };
      const bytes = openAnswer(envelope, expected, self.keys.sealing.secretKey);
      return powerAnswerSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    }
    progress.say(`waiting for the answer of ${who}`);
    if (world.nowMs() - startedMs > ANSWER_WAIT_MS) {
      const sentence = `It did not answer: ${who} is away, or you are not its farmer.`;
      throw new BotError('TOO_SLOW', sentence);
    }
    await pause(ASK_EVERY_MS, undefined, { signal: world.signal });
  }
}

function tell(world: World, { identity }: KnownNode, said: PowerAnswer): void {
  const text = `Node ${shortId(identity.id)}: ${plain(said.sentence)}\n`;
  if (!said.isDone) throw new BotError('NODE_REFUSED', text.trimEnd());
  answer(world, { node: identity.id, ...said }, text);
}
