import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../lib/bytes.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { formatBytes, SECOND_MS } from '../../lib/units.ts';
import { placeByClass } from '../attestation/placement.ts';
import { addressOf, compileContracts, nodesOf } from '../deployment/compile.ts';
import { type Placement, planPlacement } from '../deployment/plan.ts';
import { parseDeployment } from '../deployment/source.ts';
import { readSecrets, sealBodies } from '../deployment/secrets.ts';
import type { Deployment } from '../deployment/spec.ts';
import { type Standing, standingOf } from '../deployments.ts';
import { BotError } from '../errors.ts';
import { type Follow, followRunning, tell } from '../follow.ts';
import { type Books, type Grid, type KnownNode, listNodes, openBooks, openGrid } from '../grid.ts';
import { recordPolicy } from '../record/policy.ts';
import { removeDeployment, readSelf, type Self, writeDeployment } from '../store.ts';
import { openProgress, shortId, table } from '../terminal.ts';
import { pinnedBy, refuseLoss } from '../volumes/standing.ts';
import { forgetVolumeKeys, volumeKeys } from '../volumes/store.ts';
import { answer, type World } from '../world.ts';
import { handOn, needsOthers } from '../identity/part.ts';
import { renewTeam } from '../identity/renewal.ts';
import { cancelContracts } from './cancel.ts';
import { partOf, signAll, type Unsigned } from './signing.ts';

export type DeployWish = {
  readonly file: string;
  readonly isDryRun: boolean;
  /** Volumes that may be erased. */
  readonly erase?: readonly string[];
  /** Where what a team's next member has to sign is written. */
  readonly out?: string | undefined;
};

/** What is about to be signed and sent, and everything that was decided on the way to it. */
type Plan = Unsigned & { readonly deployment: Deployment; readonly placement: Placement };

/** `zos deploy`: reads, places, signs, sends, and follows until everything runs. */
export async function deploy(world: World, wish: DeployWish): Promise<void> {
  const { file, isDryRun } = wish;
  const startedMs = world.nowMs();
  const deployment = parseDeployment(file, await readSource(file));
  const values = await readSecrets(deployment, { file, environment: world.environment });
  const known = await readSelf(world.home);
  const grid = await openGrid(world);
  // Known from now on, also when the directory is not there to be asked.
  await recordPolicy(world);
  const self = await renewTeam(world, grid, known);
  const books = openBooks(grid, self.identity.id);
  const nowMs = world.nowMs();
  const plan = await planDeployment(world, {
    grid,
    books,
    self,
    deployment,
    values,
    erase: wish.erase ?? [],
    nowMs,
  });
  if (isDryRun) {
    answer(world, valueOf(plan, null), `${describe(plan, self)}\nNothing was sent (--dry-run).\n`);
    return;
  }
  const follow: Follow = { world, books, startedMs, name: deployment.name };
  if (needsOthers(self)) {
    const part = partOf({ self, grid: grid.name, name: deployment.name, atMs: nowMs }, plan);
    await handOn(world, { self, out: wish.out }, part);
    return;
  }
  for (const [name, node] of plan.placement) {
    tell(follow, { subject: `${name} on node ${shortId(node)}`, state: 'placed', because: '' });
  }
  const { id, sent } = await send({ follow, grid, self }, plan);
  try {
    await followRunning(follow, new Map(sent.map((it) => [it.id, it.version])));
  } catch (error) {
    if (!world.signal.aborted) throw error;
    const sentence =
      `Stopped watching; ${deployment.name} goes on. See \`zos status ${deployment.name}\`, ` +
      `end it with \`zos cancel ${deployment.name}\`.`;
    throw new BotError('INTERRUPTED', sentence, { cause: error });
  }
  await forgetVolumeKeys(world.home, deployment.name, deployment);
  const next = [
    `  zos status ${deployment.name}`,
    ...deployment.containers.slice(0, 1).map(({ name }) => `  zos logs ${deployment.name}/${name}`),
    `  zos cancel ${deployment.name}`,
  ];
  const runs = `${deployment.name} (${id}) runs. Next:\n${next.join('\n')}\n`;
  answer(world, valueOf(plan, id), `${describe(plan, self)}\n${runs}`);
}

async function readSource(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const advice = 'name a deployment file, see `zos deploy --help`';
    throw new BotError('FILE_UNREADABLE', `${file} can't be read; ${advice}.`, { cause });
  }
}

type PlanQuestion = {
  readonly grid: Grid;
  readonly books: Books;
  readonly self: Self;
  readonly deployment: Deployment;
  /** Of its secrets. */
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly erase: readonly string[];
  readonly nowMs: number;
};

async function planDeployment(world: World, question: PlanQuestion): Promise<Plan> {
  const { grid, books, self, deployment, nowMs } = question;
  using progress = openProgress(world.terminal, world.nowMs, 'reading the nodes');
  const { known } = await listNodes(grid, nowMs);
  progress.say('reading what runs already');
  const standing = await standingOf(world, books, deployment.name);
  const keys = await volumeKeys(world.home, deployment, standing.volumes);
  const online = known.filter(({ isOnline }) => isOnline);
  if (deployment.requires === 'attested') progress.say('asking the TPMs of nodes');
  const placement = await placeByClass({
    world,
    grid,
    self,
    online,
    requires: deployment.requires,
    named: deployment.containers.flatMap(({ node }) => node ?? []),
    place: (nodes) =>
      planPlacement({
        containers: deployment.containers,
        apart: deployment.apart,
        candidates: nodes.map((node) => candidateOf(node, standing)),
        stay: standing.placement,
        pinned: pinnedBy(deployment.containers, standing.volumes),
      }),
  });
  const compiled = compile(question, { placement, standing, online, keys });
  refuseLoss(standing.volumes, compiled.contracts, question.erase);
  return { deployment, placement, standing, ...compiled };
}

type Ground = Pick<Plan, 'placement' | 'standing'> & {
  readonly online: readonly KnownNode[];
  /** Of volumes. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
};

/** What is to be signed, and what goes beside it, sealed. */
function compile(question: PlanQuestion, ground: Ground): Pick<Plan, 'contracts' | 'bodies'> {
  const { deployment, values, self, nowMs } = question;
  const { placement, standing, online, keys } = ground;
  const nodes = nodesOf(placement);
  const byChance = (lengthBytes: number): ReadonlyMap<string, string> =>
    new Map(nodes.map((node) => [node, toHex(randomBytes(lengthBytes))]));
  const whose = { grid: question.grid.name, tenant: self.identity.id };
  const bodies = sealBodies({
    ...whose,
    deployment,
    placement,
    values,
    volumeKeys: keys,
    sealingKeys: new Map(online.map(({ identity }) => [identity.id, identity.sealingKey])),
    sealerSecret: self.keys.sealing.secretKey,
    salts: byChance(32),
  });
  const contracts = compileContracts({
    ...whose,
    deployment,
    placement,
    nowMs,
    offers: new Map(online.map(({ identity, offer }) => [identity.id, offer])),
    held: standing.held,
    nonces: byChance(16),
    bodies: new Map([...bodies].map(([node, { digest }]) => [node, digest])),
  });
  return { contracts, bodies };
}

/** What the deployment holds of a node already is free for its own next version. */
function candidateOf({ identity, offer, used }: KnownNode, standing: Standing) {
  const own = standing.reserved.get(identity.id);
  const { cru, mruBytes, sruBytes, hruBytes } = offer.capacity;
  const free = {
    cpuMillis: cru * 1000 - used.cpuMillis + (own?.cpuMillis ?? 0),
    memoryBytes: mruBytes - used.memoryBytes + (own?.memoryBytes ?? 0),
    ssdBytes: sruBytes - used.ssdBytes + (own?.ssdBytes ?? 0),
    hddBytes: hruBytes - used.hddBytes + (own?.hddBytes ?? 0),
  };
  return { node: identity.id, free };
}

type Sent = { readonly id: string; readonly node: string; readonly version: number };

type Sender = { readonly follow: Follow; readonly grid: Grid; readonly self: Self };

async function send(sender: Sender, plan: Plan): Promise<{ id: string; sent: Sent[] }> {
  const { follow, self } = sender;
  const { world } = follow;
  const { standing, deployment } = plan;
  const { id, ids, signed, dropped } = signAll(self, plan);
  // Kept before anything is sent: a cut in the middle leaves nothing that can't be found again.
  const contracts = [...ids, ...dropped.map((contract) => contract.id)];
  await writeDeployment(world.home, {
    id,
    name: deployment.name,
    deployedAtMs: world.nowMs(),
    contracts,
    nodes: nodesOfAll([...signed, ...dropped]),
  });
  const sent: Sent[] = [];
  try {
    for (const { envelope, body, ...it } of signed) {
      await submit(sender, envelope, body);
      sent.push(it);
      tell(follow, { subject: `node ${shortId(it.node)}`, state: 'sent', because: '' });
    }
  } catch (error) {
    await takeBack(sender, { id, sent, isNew: standing.id === null });
    throw error;
  }
  await cancelContracts(sender, dropped);
  await writeDeployment(world.home, {
    id,
    name: deployment.name,
    deployedAtMs: world.nowMs(),
    contracts: ids,
    nodes: nodesOfAll(signed),
  });
  return { id, sent };
}

function nodesOfAll(
  contracts: readonly { readonly id: string; readonly node: string }[],
): Record<string, string> {
  return Object.fromEntries(contracts.map(({ id, node }) => [id, node]));
}

/** Sent again when no answer came: the directory knows a contract that it has already. */
async function submit(
  { follow, grid, self }: Sender,
  contract: Envelope,
  body: string | undefined,
): Promise<void> {
  const carried = { contract, tenant: self.document, ...(body === undefined ? {} : { body }) };
  const { signal } = follow.world;
  for (let tries = 1; ; tries += 1) {
    try {
      await grid.client.submitContract(carried);
      return;
    } catch (error) {
      if (!codeOf(error).startsWith('HTTP_') || tries === TRIES || signal.aborted) throw error;
      await sleep(tries * SECOND_MS, undefined, { signal });
    }
  }
}

const TRIES = 3;

type HalfSent = { readonly id: string; readonly sent: readonly Sent[]; readonly isNew: boolean };

/** Nothing half-deployed is left: new contracts of a deployment that failed to go out are ended. */
async function takeBack(sender: Sender, half: HalfSent): Promise<void> {
  const { world, name } = sender.follow;
  const fresh = half.sent.filter(({ version }) => version === 1);
  try {
    await cancelContracts(sender, fresh);
    if (half.isNew) await removeDeployment(world.home, half.id);
  } catch (error) {
    const sentence = `What was sent could not be taken back (${sentenceOf(error)})`;
    world.terminal.err(`${sentence}; run \`zos cancel ${name}\`.\n`);
  }
}

function describe({ deployment, placement, contracts }: Plan, self: Self): string {
  const rows = deployment.containers.map((wish) => {
    const node = placement.get(wish.name) ?? '';
    const contract = contracts.find((it) => it.node === node);
    const address = addressOf(wish, { deployment, placement, tenant: self.identity.id });
    return [
      wish.name,
      shortId(node),
      `${wish.cpuMillis / 1000}`,
      formatBytes(wish.memoryBytes),
      address ?? 'no network',
      `${contract?.version ?? 1}`,
    ];
  });
  const heading = ['container', 'node', 'cpu', 'memory', 'address', 'version'];
  return table([heading, ...rows]);
}

function valueOf({ deployment, placement, contracts }: Plan, id: string | null): unknown {
  const { name } = deployment;
  return { id, name, placement: Object.fromEntries(placement), contracts };
}
