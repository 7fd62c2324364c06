import { setTimeout as sleep } from 'node:timers/promises';
import { openAnswer, questionId } from '../../contract/question.ts';
import { signQuestion } from '../../contract/sign.ts';
import type { Question } from '../../contract/spec.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import type { Books, Grid } from '../grid.ts';
import type { Self } from '../store.ts';
import { openProgress } from '../terminal.ts';
import type { World } from '../world.ts';

const ANSWER_WAIT_MS = 60 * SECOND_MS;
const ASK_EVERY_MS = 300;

export type Asker = {
  readonly world: World;
  readonly grid: Grid;
  readonly self: Self;
  readonly books: Books;
};

type WithoutAsker<T> = T extends unknown ? Omit<T, 'grid' | 'tenant' | 'atMs'> : never;

/** Asks a node; its answer is signed by it, and sealed to who asked. Throws `BotError`. */
export async function askNode(
  { world, grid, self, books }: Asker,
  wish: WithoutAsker<Question>,
  who: string,
): Promise<Uint8Array> {
  using progress = openProgress(world.terminal, world.nowMs, `asking ${who}`);
  const node = await books.identityOf(wish.node);
  const asked = { grid: grid.name, tenant: self.identity.id, atMs: world.nowMs() };
  const question = signQuestion({ ...wish, ...asked }, self.keys.signing);
  const startedMs = world.nowMs();
  await grid.client.askQuestion({ question, tenant: self.document });
  const id = questionId(question);
  for (;;) {
    const envelope = await grid.client.answer(id);
    if (envelope !== null) {
      const expected = { node, grid: grid.name, question: id };
      return openAnswer(envelope, expected, self.keys.sealing.secretKey);
    }
    progress.say(`waiting for the answer of ${who}`);
    if (world.nowMs() - startedMs > ANSWER_WAIT_MS) {
      throw new BotError('TOO_SLOW', `No answer came from ${who}; see \`zos nodes\`.`);
    }
    await sleep(ASK_EVERY_MS, undefined, { signal: world.signal });
  }
}
