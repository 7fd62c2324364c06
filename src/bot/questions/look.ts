import { randomBytes } from 'node:crypto';
import { type Look, lookSchema } from '../../contract/diagnosis/look.ts';
import { toHex } from '../../lib/bytes.ts';
import { BotError } from '../errors.ts';
import { chooseNode, listNodes, openBooks, openGrid } from '../grid.ts';
import { readSelf } from '../store.ts';
import { plain, shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { askNode } from './ask.ts';

/** What a farmer may ask a node, each with what has to be said with it. */
export const LOOKS = {
  clock: '',
  disks: '',
  'kernel-log': '',
  links: '',
  name: 'HOST',
  packets: '',
  reach: 'HOST:PORT',
  route: 'ADDRESS',
} as const satisfies Record<Look['what'], string>;

export type LookWish = {
  readonly node: string;
  readonly what: string;
  readonly about: string | undefined;
};

/** `zos nodes ask`: one of the looks at a machine of one's own farm, answered to nobody else. */
export async function askLook(world: World, wish: LookWish): Promise<void> {
  const look = readLook(wish);
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const { known } = await listNodes(grid, world.nowMs());
  const node = chooseNode(known, wish.node).identity.id;
  const asker = { world, grid, self, books: openBooks(grid, self.identity.id) };
  const nonce = toHex(randomBytes(16));
  const bytes = await askNode(asker, { ask: 'look', node, look, nonce }, `node ${shortId(node)}`);
  const text = new TextDecoder().decode(bytes);
  answer(world, { node, look, text }, plain(text));
}

/** A look as people write it; throws `BotError`. */
export function readLook({ what, about }: Pick<LookWish, 'what' | 'about'>): Look {
  const [, host = '', port = ''] = /^(.*):(\d+)$/u.exec(about ?? '') ?? [];
  const rest: Readonly<Record<string, unknown>> = {
    name: { name: about },
    reach: { host: host.replace(/^\[(.*)\]$/u, '$1'), port: Number(port) },
    route: { address: about },
  };
  const given = Object.hasOwn(rest, what) ? rest[what] : about === undefined ? {} : { about };
  const look = lookSchema.safeParse({ what, ...(given as object) });
  if (look.success) return look.data;
  const all = Object.entries(LOOKS).map(([name, needs]) => `${name} ${needs}`.trim());
  throw new BotError('USAGE', `A node can be asked: ${all.join(', ')}.`);
}
