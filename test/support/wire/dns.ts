import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export type DnsServer = AsyncDisposable & {
  /** For `WayOut`: address and port. */
  readonly address: string;
  /** How it treats questions from now on; the names it knows are given once. */
  behave: (how: 'answers' | 'silent' | 'refuses' | 'no-such-name' | 'four-only') => void;
};

const TYPES = { 1: 4, 28: 16 } as const;

/** A DNS server (RFC 1035) for tests that knows one address of each family for every name. */
export async function openDns(known: {
  readonly four?: readonly number[];
  readonly six?: readonly number[];
}): Promise<DnsServer> {
  const socket = createSocket('udp4');
  let behaviour: Parameters<DnsServer['behave']>[0] = 'answers';
  socket.on('message', (question, from) => {
    const end = question.indexOf(0, 12) + 5;
    const type = question.readUInt16BE(end - 4);
    if (behaviour === 'silent' || (behaviour === 'four-only' && type === 28)) return;
    const bytes = type === 1 ? known.four : known.six;
    const flags = { refuses: 0x8185, 'no-such-name': 0x8183 }[behaviour as string] ?? 0x8180;
    const isKnown = flags === 0x8180 && bytes !== undefined && type in TYPES;
    const head = Buffer.from(question.subarray(0, end));
    head.writeUInt16BE(flags, 2);
    head.writeUInt16BE(isKnown ? 1 : 0, 6);
    head.writeUInt16BE(0, 10);
    const record = isKnown
      ? Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, bytes.length, ...bytes])
      : Buffer.alloc(0);
    socket.send(Buffer.concat([head, record]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    behave: (how) => (behaviour = how),
    [Symbol.asyncDispose]: async () => {
      socket.close();
    },
  };
}
