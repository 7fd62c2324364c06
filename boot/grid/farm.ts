import { z } from 'zod';
import { bundleSchema } from '../../src/identity/bundle.ts';
import { envelopeSchema } from '../../src/identity/envelope.ts';
import type { Farm } from '../serve/media.ts';
import { askBot, type Bot } from './bot.ts';
import type { OnEvent } from './event.ts';

const tokensSchema = z
  .array(z.object({ grid: z.string(), token: envelopeSchema, farmer: bundleSchema }))
  .min(1);

export type FarmWish = {
  readonly bot: Bot;
  readonly name: string;
  /** How many nodes may join. */
  readonly tokens: number;
  readonly onEvent: OnEvent;
};

/** Makes the bot a farmer, and signs a join token for each node: what their boot media carry. */
export async function makeFarm({ bot, name, tokens, onEvent }: FarmWish): Promise<Farm> {
  const subject = 'farm';
  onEvent({ subject, state: 'running', text: 'making keys, signing' });
  await bot.zos({ args: ['identity', 'new', '--name', name] });
  await bot.zos({ args: ['farm', 'create', name] });
  const args = ['farm', 'token', '--count', `${tokens}`, '--valid', '24h', '--take-blank-disks'];
  const files = await askBot(bot, args, tokensSchema);
  const [first] = files;
  onEvent({ subject, state: 'done', text: `${name}, ${tokens} single-use join tokens` });
  return {
    grid: first?.grid ?? '',
    farmer: first?.farmer ?? null,
    tokens: files.map(({ token }) => token),
    mirrors: [],
  };
}
