import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { SECOND_MS } from '../../lib/units.ts';

const PORT = 123;
const PACKET_BYTES = 48;
/** Seconds from 1900, where NTP begins, to 1970 (RFC 5905 section 6). */
const EPOCH_SECONDS = 2_208_988_800;
/** Leap indicator 0, version 4, mode 3: a client's question (RFC 4330 section 4). */
const QUESTION = 0x23;
const TRANSMIT_AT = 40;
const ORIGINATE_AT = 24;
const ERA_SECONDS = 2 ** 32;

export type SntpWish = {
  /** Names or addresses, asked one after the other. */
  readonly servers: readonly string[];
  /** 8 bytes that a server has to give back: whoever can't see the question can't answer. */
  readonly chance: () => Uint8Array;
  /** For each server. */
  readonly deadlineMs: number;
  readonly port?: number;
};

/**
 * What a time server says it is, by SNTP (RFC 4330): a hint, since whoever is on the way can say
 * anything. None when no server answers.
 */
export async function askTime(wish: SntpWish): Promise<number | undefined> {
  for (const server of wish.servers) {
    const nowMs = await askServer(server, wish).catch(() => undefined);
    if (nowMs !== undefined) return nowMs;
  }
  return undefined;
}

async function askServer(server: string, wish: SntpWish): Promise<number | undefined> {
  const question = Buffer.alloc(PACKET_BYTES);
  question[0] = QUESTION;
  const mark = Buffer.from(wish.chance()).subarray(0, 8);
  mark.copy(question, TRANSMIT_AT);
  const signal = AbortSignal.timeout(wish.deadlineMs);
  const socket = createSocket({ type: 'udp4', signal });
  try {
    // Connected: the kernel drops what comes from anybody else.
    socket.connect(wish.port ?? PORT, server);
    await once(socket, 'connect', { signal });
    socket.send(question);
    for (;;) {
      const [answer] = (await once(socket, 'message', { signal })) as [Buffer];
      const nowMs = parseAnswer(answer, mark);
      if (nowMs !== undefined) return nowMs;
    }
  } finally {
    if (!signal.aborted) socket.close();
  }
}

/** Milliseconds since 1970 of a server's answer to `mark`; none when it is no such answer. */
export function parseAnswer(answer: Uint8Array, mark: Uint8Array): number | undefined {
  const packet = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength);
  if (packet.length < PACKET_BYTES) return undefined;
  const [mode, leap, stratum] = [
    packet.readUInt8(0) & 7,
    packet.readUInt8(0) >> 6,
    packet.readUInt8(1),
  ];
  const isServer = mode === 4 && leap !== 3 && stratum >= 1 && stratum <= 15;
  if (!isServer || !packet.subarray(ORIGINATE_AT, ORIGINATE_AT + 8).equals(mark)) return undefined;
  const seconds = packet.readUInt32BE(TRANSMIT_AT);
  const fraction = packet.readUInt32BE(TRANSMIT_AT + 4) / ERA_SECONDS;
  if (seconds === 0) return undefined;
  // The era that began in 2036 has the first bit clear (RFC 4330 section 3).
  const sinceEpoch = seconds + (seconds < ERA_SECONDS / 2 ? ERA_SECONDS : 0) - EPOCH_SECONDS;
  return Math.round((sinceEpoch + fraction) * SECOND_MS);
}
