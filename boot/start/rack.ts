import { type FirstPrograms, findWire, openWireDhcp } from '../serve/wire.ts';
import type { ServeEvent } from '../serve/server.ts';
import { waitOnline } from '../grid/bot.ts';
import { fetchOf } from '../grid/node.ts';
import { buildImage, type ReleaseWish } from '../grid/release.ts';
import { openFolder, openServices, type Services } from '../grid/services.ts';

export type RackWish = ReleaseWish & {
  /** The network card of this machine that the servers are on. */
  readonly interfaceName: string;
  /** Beside a DHCP server that is there already, instead of being one. */
  readonly isProxyDhcp: boolean;
  /** How many servers to wait for. */
  readonly nodes: number;
  /** For keys and databases; emptied before, removed after. */
  readonly folder: string;
};

/** What comes up before the servers do. */
export const RACK_SUBJECTS = [
  'image',
  'witnesses',
  'directory',
  'release',
  'farm',
  'boot server',
  'servers',
];

/**
 * Serves real servers on a wire, and answers when so many have joined. Disposing of it ends the
 * serving; the servers run on. Throws `BootError`.
 */
export async function openRack(wish: RackWish): Promise<Services> {
  const { interfaceName, isProxyDhcp, nodes, onEvent, signal } = wish;
  // First of all, as the name of a card is easily mistyped.
  const { address, subnet } = await findWire(interfaceName);
  await buildImage(wish);
  await using stack = new AsyncDisposableStack();
  stack.use(await openFolder(wish.folder));
  const startDhcp = async (programs: FirstPrograms): Promise<void> => {
    stack.use(await openWireDhcp({ interfaceName, isProxy: isProxyDhcp, programs }));
  };
  const onFetch = (event: ServeEvent): void => {
    const text = fetchOf(event);
    if (text !== undefined) onEvent({ subject: event.client, state: 'running', text });
  };
  const services = stack.use(await openServices({ ...wish, address, startDhcp, onFetch }));
  const wait = `boot ${nodes} servers on ${interfaceName} (${subnet}) over the network`;
  onEvent({ subject: 'servers', state: 'running', text: wait });
  const ids = await waitOnline(services.bot, { count: nodes, signal });
  const text = `joined as ${ids.map((id) => id.slice(0, 10)).join(', ')}`;
  onEvent({ subject: 'servers', state: 'done', text });
  const open = stack.move();
  return { ...services, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
