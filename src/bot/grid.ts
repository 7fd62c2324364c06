import { verifyOffer } from '../capacity/verify.ts';
import type { Offer, Resources } from '../capacity/spec.ts';
import {
  type Heartbeat,
  type Receipt,
  verifyHeartbeat,
  verifyReceipt,
} from '../contract/receipt.ts';
import { type SignedContract, verifySignedContract } from '../contract/verify.ts';
import { type Identity, verifyIdentity } from '../identity/document.ts';
import { codeOf } from '../lib/errors.ts';
import { MINUTE_MS } from '../lib/units.ts';
import type { ContractAnswer, NodeAnswer } from '../sdk/api.ts';
import { type Client, openClient } from '../sdk/client.ts';
import { BotError } from './errors.ts';
import { readConfig, writeConfig } from './store.ts';
import type { World } from './world.ts';

/** A heartbeat this old says that a node is gone. */
const ONLINE_MS_MAX = 3 * MINUTE_MS;

/** The directory that this bot talks to, known by its identity and not by its address. */
export type Grid = { readonly client: Client; readonly name: string; readonly url: string };

/** What a node signed; the directory's own word is only `used`, `farm` and `state`. */
export type KnownNode = {
  readonly identity: Identity;
  readonly offer: Offer & { readonly id: string };
  readonly heartbeat: Heartbeat | null;
  readonly isOnline: boolean;
  readonly farm: string | null;
  readonly state: NodeAnswer['state'];
  readonly used: Resources;
};

/** A node whose documents do not hold: it is shown, and never used. */
export type DoubtfulNode = { readonly id: string; readonly code: string };

/**
 * Opens the directory named by option, environment or memory. At first use its identity and grid
 * are remembered; from then on another one behind the same wish is refused.
 */
export async function openGrid(world: World): Promise<Grid> {
  const config = await readConfig(world.home);
  const url = world.directoryUrl ?? config.directory?.url;
  if (url === undefined) {
    throw new BotError(
      'DIRECTORY_MISSING',
      'No directory is known yet; name one once with --directory URL, or set ZOS_DIRECTORY.',
    );
  }
  if (!/^https?:\/\/[^/]/.test(url)) {
    const sentence = `"${url}" is no address of a directory; write one such as http://HOST:PORT.`;
    throw new BotError('DIRECTORY_MISSING', sentence);
  }
  const client = openClient({ baseUrl: url, signal: world.signal });
  const said = await client.grid();
  const identity = verifyIdentity(said.directory);
  const pinned = config.directory;
  if (pinned !== undefined && (pinned.identity !== identity.id || pinned.grid !== said.grid)) {
    throw new BotError(
      'DIRECTORY_CHANGED',
      `The directory at ${url} is not the one that this bot knows (${pinned.grid}, ` +
        `${pinned.identity.slice(0, 10)}). If that is meant, use another --home, or take ` +
        `"directory" out of ${world.home.path}/config.json.`,
      { facts: { pinned, found: { identity: identity.id, grid: said.grid } } },
    );
  }
  if (pinned?.url !== url) {
    await writeConfig(world.home, { directory: { url, identity: identity.id, grid: said.grid } });
  }
  return { client, name: said.grid, url };
}

/** All nodes of the grid, each by what it signed itself. */
export async function listNodes(
  grid: Grid,
  nowMs: number,
): Promise<{ known: KnownNode[]; doubtful: DoubtfulNode[] }> {
  const known: KnownNode[] = [];
  const doubtful: DoubtfulNode[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<Client['nodes']>> = await grid.client.nodes({ cursor });
    for (const said of page.items) {
      try {
        known.push(verifyNode(said, grid.name, nowMs));
      } catch (error) {
        doubtful.push({ id: said.id, code: codeOf(error) });
      }
    }
    cursor = page.next;
  }
  known.sort((a, b) => (a.identity.id < b.identity.id ? -1 : 1));
  return { known, doubtful };
}

/** Believes of a node what the node signed; throws what the checks throw. */
export function verifyNode(said: NodeAnswer, grid: string, nowMs: number): KnownNode {
  const identity = verifyIdentity(said.identity, said.id);
  const offer = verifyOffer(said.offer, identity, grid);
  const heartbeat =
    said.heartbeat === null ? null : verifyHeartbeat(said.heartbeat.envelope, identity, grid);
  const isFresh = heartbeat !== null && nowMs - heartbeat.atMs < ONLINE_MS_MAX;
  const { farm, state, used } = said;
  return { identity, offer, heartbeat, isOnline: isFresh && state === 'joined', farm, state, used };
}

/** A contract of this tenant and the latest that its node signed about it. */
export type KnownContract = {
  readonly contract: SignedContract;
  /** The version that its node took up; the next one grows out of it. */
  readonly held: SignedContract | null;
  readonly receipt: Receipt | null;
  /** Where the directory sees it; what runs is said by the receipt only. */
  readonly state: ContractAnswer['state'];
  /** Whether the newest version still waits for its node's word. */
  readonly isAwaited: boolean;
  /** Versions that the node refused, or did not answer in time. */
  readonly dropped: ReadonlySet<number>;
};

/** A contract by its id, with every signature checked again. */
export async function readContract(
  grid: Grid,
  id: string,
  nodes: NodeBook,
): Promise<KnownContract> {
  const said = await grid.client.contract(id);
  const versions = said.versions
    .map((it) => ({
      state: it.state,
      contract: verifySignedContract(
        { contract: it.contract, tenant: said.tenantIdentity },
        grid.name,
      ),
    }))
    .filter(({ contract }) => contract.id === id)
    .sort((a, b) => b.contract.version - a.contract.version);
  const newest = versions[0];
  if (newest === undefined) throw unknownContract(id);
  const held = versions.find(({ state }) => state === 'held')?.contract ?? null;
  const node = await nodes.identityOf(newest.contract.node);
  const receipts = said.receipts
    .map((receipt) => verifyReceipt(receipt, node, grid.name))
    .filter(({ contract }) => contract === id)
    .sort((a, b) => b.seq - a.seq);
  const dropped = versions.filter(({ state }) => state === 'dropped');
  return {
    contract: newest.contract,
    held,
    receipt: receipts[0] ?? null,
    state: said.state,
    isAwaited: said.reservedUntilMs !== null,
    dropped: new Set(dropped.map(({ contract }) => contract.version)),
  };
}

/** The identities of nodes, each asked for once. */
export type NodeBook = { readonly identityOf: (node: string) => Promise<Identity> };

/** An empty book of nodes that asks this grid. */
export function openNodeBook(grid: Grid): NodeBook {
  const known = new Map<string, Promise<Identity>>();
  return {
    identityOf: (node) => {
      const asked = known.get(node) ?? askIdentity(grid, node);
      known.set(node, asked);
      return asked;
    },
  };
}

async function askIdentity(grid: Grid, node: string): Promise<Identity> {
  const said = await grid.client.node(node);
  return verifyIdentity(said.identity, node);
}

function unknownContract(id: string): BotError {
  return new BotError(
    'DEPLOYMENT_UNKNOWN',
    `The directory shows no version of contract ${id.slice(0, 10)} that its tenant signed; ` +
      'see `zos deployments`.',
  );
}
