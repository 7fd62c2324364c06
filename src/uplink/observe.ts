import { access, readFile } from 'node:fs/promises';
import { leasedLinks, nameServersTold, readTold } from '../host/net/dhcp.ts';
import { listLinks, listRoutes } from '../host/net/ip.ts';
import { isClosed } from '../host/net/wall.ts';
import type { Observed, UplinkModule } from './plan.ts';

/** `/etc/resolv.conf` of the image leads here. */
export const RESOLVER_PATH = '/run/resolv.conf';

const MODULES: readonly UplinkModule[] = ['bonding', '8021q'];
/** What changes when something happens to a link, readable without a program. */
const SIGNS = ['dev', 'if_inet6', 'route', 'ipv6_route'];

/** The machine's links, routes and DNS servers, as they are. */
export async function observeUplinks(signal?: AbortSignal): Promise<Observed> {
  const where = signal === undefined ? {} : { signal };
  const [links, four, six, leased, resolver] = await Promise.all([
    listLinks(where),
    listRoutes(4, where),
    listRoutes(6, where),
    leasedLinks(),
    readText(RESOLVER_PATH),
  ]);
  const told = await Promise.all(
    (leased ?? []).map(async (link) => nameServersTold(link, await readTold(link, signal))),
  );
  const isIn = await Promise.all(
    MODULES.map((module) =>
      access(`/sys/module/${module}`).then(
        () => true,
        () => false,
      ),
    ),
  );
  return {
    links,
    routes: [...four, ...six],
    modules: MODULES.filter((_, at) => isIn[at]),
    leased,
    toldNameServers: told.flat(),
    isClosed: await isClosed(signal),
    nameServers: [...resolver.matchAll(/^nameserver (\S+)$/gmu)].map(([, at = '']) => at),
  };
}

/** A text that changes when a link, an address or a route does; it costs next to nothing. */
export async function signsOfChange(): Promise<string> {
  const texts = await Promise.all(SIGNS.map((name) => readText(`/proc/net/${name}`)));
  const [cards = '', ...others] = texts;
  const names = cards.split('\n').map((line) => line.split(':')[0]?.trim() ?? '');
  const carriers = await Promise.all(
    names.map((name) => readText(`/sys/class/net/${name}/carrier_changes`)),
  );
  return [names.join(' '), carriers.join(' '), ...others].join('\n');
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
