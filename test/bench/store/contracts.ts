import { Agent } from 'node:http';
import { performance } from 'node:perf_hooks';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { makeContract } from '../../support/contracts.ts';
import { freshNonce } from '../../support/identity/farm.ts';
import { type Ground, layGround } from '../../support/store/directory-process.ts';
import { makeQuickly, type Signing, signQuickly } from '../feed/crowd.ts';
import { inParallel } from '../feed/parallel.ts';
import { type Figure, percentile } from '../figure.ts';
import { STORES, type StoreKind, withDirectory } from './directory.ts';
import { post } from './post.ts';

const CONTRACTS = 6000;
/** The middle one of so many slices is what counts. */
const SLICES = 6;
const NODES = 64;
const TENANTS = 64;
/** Requests under way, from so many addresses: one address may send 500 a second. */
const AT_ONCE = 96;
const ADDRESSES = 24;

/** How many contracts one directory process books, records and makes durable in a second. */
export function figuresOfContracts(): Figure[] {
  return STORES.map((kind) => ({
    name: `contracts-${kind}`,
    what: `contracts accepted a second, durable, over HTTP, ${kind}`,
    unit: 'a second',
    reach: 400,
    isLeast: true,
    measure: async () => measure(kind),
  }));
}

async function measure(kind: StoreKind): Promise<number> {
  return withDirectory(kind, async ({ url }) => {
    const nowMs = Date.now();
    const ground = await layGround(openClient({ baseUrl: url }), { nowMs, count: NODES });
    const tenants = Array.from({ length: TENANTS }, () => makeQuickly('tenant'));
    const bodies = Array.from({ length: CONTRACTS }, (_, at) =>
      bodyOf(ground, tenants[at % TENANTS] as Signing, { at, nowMs }),
    );
    const agents = Array.from(
      { length: ADDRESSES },
      (_, at) => new Agent({ keepAlive: true, localAddress: `127.0.9.${at + 1}` }),
    );
    const rates: number[] = [];
    for (let slice = 0; slice < SLICES; slice += 1) {
      const count = CONTRACTS / SLICES;
      const part = bodies.slice(slice * count, (slice + 1) * count);
      const startedMs = performance.now();
      await inParallel(part, AT_ONCE, async (body, at) =>
        send(`${url}/v1/contracts`, body, agents[at % ADDRESSES] as Agent),
      );
      rates.push((count * 1000) / (performance.now() - startedMs));
    }
    for (const agent of agents) agent.destroy();
    return percentile(rates, 50);
  });
}

function bodyOf(ground: Ground, tenant: Signing, { at, nowMs }: { at: number; nowMs: number }) {
  const node = ground.nodes[at % ground.nodes.length];
  if (node === undefined) throw new Error('There is no node.');
  const contract = makeContract(tenant, {
    node: node.id,
    offer: node.offerId,
    nonce: freshNonce(),
    resources: { cpuMillis: 1, memoryBytes: 1, ssdBytes: 0, hddBytes: 0 },
    workloads: [],
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + HOUR_MS,
  });
  const signed = signQuickly('contract', contract, tenant.key);
  return JSON.stringify({ contract: signed, tenant: { chain: [tenant.document] } });
}

async function send(url: string, body: string, agent: Agent): Promise<void> {
  const status = await post(url, body, agent);
  if (status !== 201) throw new Error(`The directory answered ${status}.`);
}
