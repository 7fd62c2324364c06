// The agent over the machine's own drivers, its directory silent; bundled, and started as a child.
import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { containerDriver } from '../../../src/container/apply.ts';
import { HttpError, reachBy } from '../../../src/host/http.ts';
import { giveBackHeap } from '../../../src/host/usage/heap.ts';
import { GiB, SECOND_MS } from '../../../src/lib/units.ts';
import { firewallDriver } from '../../../src/node/bringup/firewall.ts';
import { openProgress } from '../../../src/node/health/progress.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';
import { type Drivers, loopDriver, usesNothing } from '../../../src/node/loop/observation.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { znetDriver } from '../../../src/znet/apply.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { makeFarmer } from '../../support/identity/farm.ts';
import { startAgent } from '../../support/node/agent.ts';
import { policyTextOf } from '../../support/record/signers.ts';

const [, , folder = '', lookAgain = ''] = process.argv;
const lookAgainMs = Number(lookAgain);
/** Nobody listens here. */
const URL = 'http://127.0.0.1:9';
// A courier does an agent's requests in a process of its own, and this one reaches nobody.
reachBy(async () => {
  throw new HttpError('HTTP_UNREACHABLE', 'There is nobody.');
});

function tell(what: Record<string, unknown>): void {
  appendFileSync(`${folder}/told`, `${JSON.stringify({ atMs: Date.now(), ...what })}\n`);
}

let looks = 0;
let lookedMs = 0;
const ground = await openImageStore({ dataPath: null });
const containers = loopDriver(containerDriver(() => new Uint8Array()));
const troubles = openTroubles({ steady: () => performance.now(), say: () => undefined });
const drivers: Drivers = new Map(
  [
    loopDriver(firewallDriver(troubles)),
    loopDriver(imageDriver(ground), usesNothing),
    loopDriver(znetDriver(), usesNothing),
    {
      ...containers,
      observe: async (signal: AbortSignal) => {
        const seen = await containers.observe(signal);
        looks += 1;
        return seen;
      },
    },
  ].map((driver) => [driver.kind, driver]),
);
const agent = await startAgent({
  farmer: makeFarmer(),
  folder,
  total: { cpuMillis: 64_000, memoryBytes: 64 * GiB, ssdBytes: 1024 * GiB, hddBytes: 0 },
  directory: {
    url: URL,
    client: openClient({ baseUrl: URL }),
    own: { id: '00'.repeat(32) },
    record: { policy: policyTextOf(2) },
    clock: { nowMs: Date.now() },
  },
  parts: {
    drivers,
    progress: {
      ...openProgress(() => performance.now()),
      move: (what) => {
        const nowMs = performance.now();
        // At the short look again of a long life nobody asks for each.
        if (what === 'resting' && lookAgainMs >= SECOND_MS) {
          tell({ told: 'pass', passMs: nowMs - lookedMs });
        }
        lookedMs = nowMs;
      },
    },
    lookAgainMs,
    // As long as on a node: in tests an agent that waits for its directory asks ten times a second.
    sleep: async (ms, signal) => {
      await pause(ms, undefined, { signal }).catch(() => undefined);
    },
    images: { hasImage: async () => true, fetchImage: async () => undefined },
    clock: {
      clock: () => Date.now(),
      steady: () => performance.now(),
      nonce: () => randomBytes(16).toString('hex'),
      isSynced: true,
      setClock: async () => undefined,
      onSynced: async () => undefined,
    },
  },
});
const self = { node: agent.self.identity.id, offer: agent.offer.id };
writeFileSync(`${folder}/self.json`, JSON.stringify(self));
tell({ told: 'running' });
void giveBackHeap(async (ms) => pause(ms), new AbortController().signal);
setInterval(() => {
  const { user, system } = process.cpuUsage();
  const status = readFileSync('/proc/self/status', 'utf8');
  const anonymousKib = Number(/^RssAnon:\s+(\d+)/mu.exec(status)?.[1]);
  tell({ told: 'second', looks, cpuMs: (user + system) / 1000, anonymousKib });
}, SECOND_MS);
