import { verifyOffer } from '../capacity/verify.ts';
import { countedClass } from '../capacity/class.ts';
import type { NodeClass, Offer, Resources } from '../capacity/spec.ts';
import {
  type Heartbeat,
  type Receipt,
  verifyHeartbeat,
  verifyReceipt,
} from '../contract/receipt.ts';
import { type SignedContract, verifySignedContract } from '../contract/verify.ts';
import { type Identity, verifyIdentity } from '../identity/document.ts';
import type { Envelope } from '../identity/envelope.ts';
import { codeOf } from '../lib/errors.ts';
import { MINUTE_MS } from '../lib/units.ts';
import type { ContractAnswer, NodeAnswer, Proof } from '../sdk/api.ts';
import { type Client, openClient } from '../sdk/client.ts';
import type { CapacityQuery } from '../sdk/calls/farms.ts';
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
  /** What the directory found when it asked the node's TPM. */
  readonly proof: Proof | null;
  /** The class to count on: `attested` only with such a proof. */
  readonly class: NodeClass;
  readonly farm: string | null;
  /** Where its farm is, by the directory's word for the farmer's. */
  readonly location: NodeAnswer['location'];
  readonly state: NodeAnswer['state'];
  readonly used: Resources;
  /** As the directory counted its signed signs of life. */
  readonly uptime: NodeAnswer['uptime'];
  /** What the directory measured last. */
  readonly measured: NodeAnswer['measured'];
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
    await writeConfig(world.home, {
      ...config,
      directory: { ...pinned, url, identity: identity.id, grid: said.grid },
    });
  }
  return { client, name: said.grid, url };
}

/** All nodes of the grid, or those that a search finds, each by what it signed itself. */
export async function listNodes(
  { client, name }: Grid,
  nowMs: number,
  search?: CapacityQuery,
): Promise<{ known: KnownNode[]; doubtful: DoubtfulNode[] }> {
  const known: KnownNode[] = [];
  const doubtful: DoubtfulNode[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<Client['nodes']>> = await (search === undefined
      ? client.nodes({ cursor })
      : client.capacity({ ...search, cursor }));
    for (const said of page.items) {
      try {
        known.push(verifyNode(said, name, nowMs));
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
  const isAsleep = heartbeat?.isAsleep === true;
  const isFresh = heartbeat !== null && !isAsleep && nowMs - heartbeat.atMs < ONLINE_MS_MAX;
  const { farm, location, state, used, uptime, measured } = said;
  const proof = said.proof?.offerId === offer.id ? said.proof : null;
  const isProven = proof !== null && proof.isProven && nowMs < proof.untilMs;
  return {
    identity,
    offer,
    heartbeat,
    isOnline: isFresh && state === 'joined',
    proof,
    class: countedClass(offer.class, isProven),
    farm,
    location,
    state,
    used,
    uptime,
    measured,
  };
}

/** The one node whose id begins so; throws `BotError`. */
export function chooseNode(known: readonly KnownNode[], prefix: string): KnownNode {
  const found = known.filter(({ identity }) => identity.id.startsWith(prefix));
  const [node] = found;
  if (node !== undefined && found.length === 1) return node;
  const sentence =
    node === undefined
      ? `No node's id begins with ${prefix}; see \`zos nodes\`.`
      : `${found.length} nodes' ids begin with ${prefix}; write more of it.`;
  throw new BotError('NODE_UNKNOWN', sentence);
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
  /** The private bodies of its versions that the directory still keeps, by their hashes. */
  readonly bodies: ReadonlySet<string>;
};

/** What the directory has on its books about one tenant, checked by what was signed. */
export type Books = {
  /** The identity of a node, asked for once. */
  readonly identityOf: (node: string) => Promise<Identity>;
  /** Contracts of the tenant by their ids. */
  readonly contracts: (ids: readonly string[]) => Promise<KnownContract[]>;
};

/** The books of this tenant; what anybody else signed is never taken for the tenant's. */
export function openBooks(grid: Grid, tenant: string): Books {
  const known = new Map<string, Promise<Identity>>();
  const identityOf = (node: string): Promise<Identity> => {
    const asked = known.get(node) ?? askIdentity(grid, node);
    known.set(node, asked);
    return asked;
  };
  const contract = async (id: string): Promise<KnownContract> => {
    const said = await askContract(grid, id);
    const versions = versionsOf(said, { grid: grid.name, tenant, id });
    const newest = versions[0];
    if (newest === undefined) throw unknownContract(id);
    const { node } = newest.contract;
    return {
      contract: newest.contract,
      held: versions.find(({ state }) => state === 'held')?.contract ?? null,
      receipt: latestReceipt(said.receipts, await identityOf(node), { grid: grid.name, id }),
      state: said.state,
      isAwaited: said.reservedUntilMs !== null,
      dropped: new Set(
        versions.flatMap((it) => (it.state === 'dropped' ? it.contract.version : [])),
      ),
      bodies: new Set(versions.flatMap((it) => (it.isBodyKept ? (it.contract.body ?? []) : []))),
    };
  };
  return { identityOf, contracts: async (ids) => Promise.all(ids.map(contract)) };
}

type Version = {
  readonly state: ContractAnswer['versions'][number]['state'];
  readonly contract: SignedContract;
  readonly isBodyKept: boolean;
};

/** The versions that the tenant signed, newest first; throws what the checks throw. */
function versionsOf(
  said: ContractAnswer,
  expected: { readonly grid: string; readonly tenant: string; readonly id: string },
): Version[] {
  return said.versions
    .map(({ state, contract, tenant, body }) => {
      // A later version only claims the id of its first: it counts when the same tenant signed it.
      verifyIdentity(tenant, expected.tenant);
      const checked = verifySignedContract({ contract, tenant }, expected.grid);
      return { state, isBodyKept: body === 'kept', contract: checked };
    })
    .filter(({ contract }) => contract.id === expected.id)
    .sort((a, b) => b.contract.version - a.contract.version);
}

function latestReceipt(
  receipts: readonly Envelope[],
  node: Identity,
  expected: { readonly grid: string; readonly id: string },
): Receipt | null {
  const checked = receipts
    .map((receipt) => verifyReceipt(receipt, node, expected.grid))
    .filter(({ contract }) => contract === expected.id)
    .sort((a, b) => b.seq - a.seq);
  return checked[0] ?? null;
}

async function askIdentity(grid: Grid, node: string): Promise<Identity> {
  const said = await grid.client.node(node);
  return verifyIdentity(said.identity, node);
}

async function askContract(grid: Grid, id: string): Promise<ContractAnswer> {
  try {
    return await grid.client.contract(id);
  } catch (error) {
    throw codeOf(error) === 'NOT_FOUND' ? unknownContract(id, error) : error;
  }
}

function unknownContract(id: string, cause?: unknown): BotError {
  return new BotError(
    'CONTRACT_UNKNOWN',
    `The directory has nothing on its books of contract ${id.slice(0, 10)} that you signed; ` +
      'if its books were lost, `zos cancel NAME` forgets the deployment here too.',
    { cause },
  );
}
