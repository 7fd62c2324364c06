import { randomBytes } from 'node:crypto';
import { isSamePrices } from '../../capacity/price.ts';
import { signContract } from '../../contract/sign.ts';
import type { Contract } from '../../contract/spec.ts';
import type { SignedContract } from '../../contract/verify.ts';
import { toHex } from '../../lib/bytes.ts';
import { formatDuration } from '../../lib/units.ts';
import { findDeployment, isLive } from '../deployments.ts';
import { BotError } from '../errors.ts';
import { type Follow, followRunning, tell } from '../follow.ts';
import { type KnownNode, type Grid, openBooks, openGrid, verifyNode } from '../grid.ts';
import { handOn, itemsOf, needsOthers } from '../identity/part.ts';
import { renewTeam } from '../identity/renewal.ts';
import { readSelf } from '../store.ts';
import { shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';

export type RenewWish = {
  readonly wanted: string;
  /** How long from now. */
  readonly durationMs: number;
  /** Where what a team's next member has to sign is written. */
  readonly out?: string | undefined;
};

/**
 * `zos renew`: signs for every contract of a deployment the same again with a later end. Nothing is
 * started anew, and the directory hands on the private bodies that it keeps.
 */
export async function renew(world: World, { wanted, durationMs, out }: RenewWish): Promise<void> {
  const [startedMs, nowMs] = [world.nowMs(), world.nowMs()];
  const known = await readSelf(world.home);
  const grid = await openGrid(world);
  const self = await renewTeam(world, grid, known);
  const books = openBooks(grid, self.identity.id);
  const found = await findDeployment(world, grid, { wanted, tenant: self.identity.id });
  const { id, name } = found;
  const live = (await books.contracts(found.contracts)).filter(isLive);
  const held = live.flatMap((it) => (it.held === null || it.isAwaited ? [] : [it.held]));
  if (held.length === 0 || held.length < live.length) throw unsettled(name, live.length);
  const next: Contract[] = [];
  for (const contract of held) {
    const node = await askNode(grid, contract, nowMs);
    next.push(nextOf(contract, { node, name, notAfterMs: nowMs + durationMs }));
  }
  const signed = next.map((contract) => signContract(contract, self.keys.signing));
  if (needsOthers(self)) {
    const items = itemsOf(
      signed.map((envelope) => ({ envelope, body: undefined })),
      [],
    );
    await handOn(
      world,
      { self, out },
      { grid: grid.name, team: self.identity.id, name, id, items },
    );
    return;
  }
  const follow: Follow = { world, books, startedMs, name };
  for (const [at, contract] of signed.entries()) {
    await grid.client.submitContract({ contract, tenant: self.document });
    tell(follow, { subject: `node ${shortId(next[at]?.node ?? '')}`, state: 'sent', because: '' });
  }
  const versions = next.map((contract) => [contract.id ?? '', contract.version] as const);
  await followRunning(follow, new Map(versions));
  const value = { id, name, contracts: next };
  answer(world, value, `${name} (${id}) runs on for ${formatDuration(durationMs)}.\n`);
}

async function askNode(grid: Grid, { node }: SignedContract, nowMs: number): Promise<KnownNode> {
  return verifyNode(await grid.client.node(node), grid.name, nowMs);
}

type Renewal = {
  readonly node: KnownNode;
  readonly name: string;
  readonly notAfterMs: number;
};

/** What is held, with a later end; whoever asks for another price is not agreed to in passing. */
function nextOf(held: SignedContract, { node, name, notAfterMs }: Renewal): Contract {
  const { digest, signers: _signers, private: _private, ...contract } = held;
  if (!isSamePrices(node.offer.prices, held.price)) {
    throw new BotError(
      'PRICE_CHANGED',
      `Node ${shortId(held.node)} asks another price now, see \`zos nodes\`; ` +
        `\`zos deploy\` with the file of ${name} agrees to it.`,
      { facts: { agreed: held.price, asked: node.offer.prices } },
    );
  }
  return {
    ...contract,
    version: held.version + 1,
    previous: digest,
    offer: node.offer.id,
    price: node.offer.prices,
    nonce: toHex(randomBytes(16)),
    notAfterMs,
  };
}

function unsettled(name: string, live: number): BotError {
  return live === 0
    ? new BotError('DEPLOYMENT_UNKNOWN', `Nothing of ${name} runs any more; deploy it again.`)
    : new BotError(
        'DEPLOYMENT_MOVED',
        `${name} was just sent, and not every node has answered; renew it in a minute.`,
      );
}
