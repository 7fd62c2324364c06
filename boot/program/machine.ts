import { randomBytes } from 'node:crypto';
import { codeOf, sentenceOf } from '../../src/lib/errors.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { fetchBootAnswer } from '../../src/artifact/release/fetch-answer.ts';
import { readFloors } from '../../src/artifact/release/store-floor.ts';
import { setClock, systemTimeMs } from '../../src/host/clock.ts';
import type { Lease } from '../../src/host/net/dhcp.ts';
import { askTime } from '../../src/host/net/sntp.ts';
import type { BootConsole } from './console.ts';
import { type Decide, openDecision } from './decision.ts';

/** Beside those that DHCP names; whatever they say is a hint. */
const TIME_SERVERS = ['pool.ntp.org'];
const TIME_SERVERS_MAX = 4;

/** Whether a release may be taken, decided by this machine's own clock, disks, TPM and network. */
export function decideOnMachine(ground: {
  readonly console: BootConsole;
  readonly leases: () => Promise<readonly Lease[]>;
  readonly notBeforeMs: number;
}): Decide {
  const { console, leases } = ground;
  const timeServers = async (): Promise<string[]> => {
    const told = (await leases()).flatMap((lease) => [...lease.timeServers, lease.router ?? []]);
    return [...new Set([...told.flat(), ...TIME_SERVERS])].slice(0, TIME_SERVERS_MAX);
  };
  return openDecision({
    ...ground,
    nowMs: systemTimeMs,
    setClock,
    readFloors: async () =>
      readFloors({
        onTrouble: (by, error) => console.say(`${by}: ${codeOf(error)} ${sentenceOf(error)}`),
      }),
    askDirectory: async (grid) =>
      fetchBootAnswer({
        grid,
        nonce: () => randomBytes(16).toString('hex'),
        onTrouble: (url, error) => {
          console.say(`the directory at ${url}: ${codeOf(error)} ${sentenceOf(error)}`);
        },
      }),
    askTime: async () =>
      askTime({
        servers: await timeServers(),
        chance: () => randomBytes(8),
        deadlineMs: 2 * SECOND_MS,
      }),
  });
}
