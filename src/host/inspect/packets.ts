import { SECOND_MS } from '../../lib/units.ts';
import { start } from '../exec.ts';

const PACKETS_MAX = 64;
const WATCH_MS = 10 * SECOND_MS;
/** Ethernet, VLAN, IPv6 and TCP with its options: what comes behind is not read at all. */
const HEADER_BYTES = 128;

export type PacketWish = {
  readonly link: string;
  /** The ports of tenants' tunnels: of what passes there nothing is told. */
  readonly tunnelPorts: readonly number[];
  readonly watchMs?: number;
};

/** The headers of what passes on a link: 64 packets, or what came in ten seconds. */
export async function readHeaders(wish: PacketWish): Promise<string> {
  const lines: string[] = [];
  const tunnels = wish.tunnelPorts.map((port) => `udp port ${port}`).join(' or ');
  const filter = tunnels === '' ? [] : [`not (${tunnels})`];
  await using watching = start({
    file: 'tcpdump',
    isOnNode: true,
    args: [
      ['-i', wish.link, '-c', `${PACKETS_MAX}`, '-s', `${HEADER_BYTES}`],
      // Numbers only, few words, each line at once; it has no other user to become.
      ['-nn', '-q', '-t', '-l', '--immediate-mode', '-Z', 'root', '--'],
      filter,
    ].flat(),
    onLine: (line) => void (lines.length < 2 * PACKETS_MAX && lines.push(line)),
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = setTimeout(resolve, wish.watchMs ?? WATCH_MS);
  await Promise.race([watching.ended, promise]);
  clearTimeout(end);
  await watching.stop();
  return `${lines.join('\n')}\n`;
}
