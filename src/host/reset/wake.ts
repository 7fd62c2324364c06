import { createSocket, type SocketType } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { MINUTE_MS } from '../../lib/units.ts';
import { codeOf } from '../../lib/errors.ts';
import { run } from '../exec.ts';

/** "Discard": nobody listens, and cards look at every frame anyway. */
const PORT = 9;
const MAC_BYTES = 6;
const REPEATS = 16;

/** The payload that a sleeping card wakes its machine for: six times 255, then its address. */
export function magicPacket(mac: string): Uint8Array {
  const bytes = mac.split(':').map((part) => Number.parseInt(part, 16));
  const isMac = bytes.length === MAC_BYTES && bytes.every((byte) => byte >= 0 && byte <= 255);
  if (!isMac) throw new RangeError(`${mac} is no address of a card.`);
  const address = Array.from({ length: REPEATS }, () => bytes).flat();
  return Uint8Array.from([...Array.from({ length: MAC_BYTES }, () => 255), ...address]);
}

/** Calls sleeping cards on every wire that this machine is on; answers on how many it did. */
export async function callCards(macs: readonly string[]): Promise<number> {
  let wires = 0;
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const { family, address, internal } of addresses) {
      const isLinkLocal = family === 'IPv6' && /^fe80:/iu.test(address);
      if (internal || (family === 'IPv6' && !isLinkLocal)) continue;
      const way: Way =
        family === 'IPv4'
          ? { type: 'udp4', from: address, to: '255.255.255.255' }
          : { type: 'udp6', from: `${address}%${name}`, to: `ff02::1%${name}` };
      if (await send(way, macs)) wires += 1;
    }
  }
  return wires;
}

type Way = { readonly type: SocketType; readonly from: string; readonly to: string };

/** Out of the card that holds `from`, whatever the routes say. */
async function send({ type, from, to }: Way, macs: readonly string[]): Promise<boolean> {
  const socket = createSocket(type);
  try {
    socket.bind(0, from);
    await once(socket, 'listening');
    socket.setBroadcast(true);
    for (const mac of macs) {
      await new Promise<void>((resolve, reject) => {
        socket.send(magicPacket(mac), PORT, to, (error) => (error ? reject(error) : resolve()));
      });
    }
    return true;
  } catch {
    // A wire that is down calls nobody; the others do.
    return false;
  } finally {
    socket.close();
  }
}

/** Has these links wake the machine when they are called; whether at least one can. */
export async function armCards(links: readonly string[]): Promise<boolean> {
  for (const link of links) {
    try {
      await run({ file: '/sbin/init', args: ['arm', link], deadlineMs: MINUTE_MS });
      return true;
    } catch (error) {
      if (codeOf(error) === 'UNEXPECTED') throw error;
    }
  }
  return false;
}
