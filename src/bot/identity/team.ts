import nacl from 'tweetnacl';
import { bundleOf, partsOf } from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { beginTeam, type Change, changeIdentity } from '../../identity/operation.ts';
import { fromBase64, toBase64 } from '../../lib/bytes.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import { readSelf, readTeam, writeTeam } from '../store.ts';
import { table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { renew } from './renewal.ts';

export type TeamWish = {
  readonly name: string;
  /** The ids of the others in it. */
  readonly members: readonly string[];
  readonly threshold: number;
};

/** `zos team new`: an identity whose keys are the identities of its members. */
export async function newTeam(world: World, wish: TeamWish): Promise<void> {
  const self = await readSelf({ path: world.home.path });
  const grid = await openGrid(world);
  const [recovery] = self.identity.newest?.rotationKeys ?? [];
  const recoveryKey = recovery === undefined ? undefined : fromBase64(recovery);
  if (recoveryKey === undefined) {
    const advice = 'make an identity with `zos identity new` of today, and the team with it';
    throw new BotError('IDENTITY_FIXED', `Who makes a team needs recovery words; ${advice}.`);
  }
  await grid.client.putIdentity(self.document);
  const bundles = [(await renew(world, grid, self.document)).bundle];
  for (const id of wish.members) bundles.push(await grid.client.identity(id));
  const rotation = nacl.sign.keyPair();
  const members = bundles.map((bundle) => verifyIdentity(bundle).id);
  const { name, threshold } = wish;
  const rotationKeys = [recoveryKey, rotation.publicKey];
  const document = beginTeam({ name, members, threshold, rotationKeys }, rotation);
  const bundle = bundleOf([document], bundles);
  const team = verifyIdentity(bundle);
  const rotationSeed = toBase64(rotation.secretKey.subarray(0, 32));
  await writeTeam(world.home, { name, bundle, rotationSeed });
  await grid.client.putIdentity(bundle);
  const next = `The others take it up with \`zos team join ${team.id}\`.`;
  answer(world, valueOf(team), `${textOf(team)}\n${next}\n`);
}

/** `zos team join`: takes up a team that this identity is in. */
export async function joinTeam(world: World, id: string): Promise<void> {
  const self = await readSelf({ path: world.home.path });
  const grid = await openGrid(world);
  const bundle = await grid.client.identity(id);
  const team = verifyIdentity(bundle, id);
  if (!team.members.some((member) => member.id === self.identity.id)) {
    const advice = 'ask who made it to run `zos team add`';
    throw new BotError('TEAM_UNKNOWN', `You are in no team of that id; ${advice}.`);
  }
  await writeTeam(world.home, { name: team.name, bundle });
  answer(world, valueOf(team), textOf(team));
}

/** `zos team show`: who is in it now, and how many of them have to sign. */
export async function showTeam(world: World, name: string): Promise<void> {
  const saved = await readTeam(world.home, name);
  const { bundle, identity } = await renew(world, await openGrid(world), saved.bundle);
  await writeTeam(world.home, { ...saved, bundle });
  answer(world, valueOf(identity), textOf(identity));
}

export type MemberWish = {
  readonly team: string;
  readonly member: string;
  /** How many have to sign from now on; as it was, when left out. */
  readonly threshold: number | undefined;
};

/** `zos team add`: one more who signs for it. */
export async function addMember(world: World, wish: MemberWish): Promise<void> {
  await changeTeam(world, wish, ({ members }) => ({
    members: [...members.filter((id) => id !== wish.member), wish.member],
  }));
}

/** `zos team remove`: one less; what they signed with others before runs on. */
export async function removeMember(world: World, wish: MemberWish): Promise<void> {
  await changeTeam(world, wish, ({ members, threshold }) => {
    const left = members.filter((id) => !id.startsWith(wish.member));
    if (left.length !== members.length - 1) {
      throw new BotError('TEAM_UNKNOWN', `One member's id begins with ${wish.member}, or none.`);
    }
    return { members: left, threshold: Math.min(threshold, left.length) };
  });
}

type Document = NonNullable<Identity['newest']>;

async function changeTeam(
  world: World,
  { team, threshold }: MemberWish,
  changeOf: (document: Document) => Change,
): Promise<void> {
  const saved = await readTeam(world.home, team);
  const grid = await openGrid(world);
  const { bundle, identity } = await renew(world, grid, saved.bundle);
  const seed = saved.rotationSeed === undefined ? undefined : fromBase64(saved.rotationSeed);
  if (seed === undefined || identity.newest === null) {
    const sentence = `The team ${team} is changed where it was made; run this there.`;
    throw new BotError('IDENTITY_FIXED', sentence);
  }
  const change = changeOf(identity.newest);
  const fixed = threshold === undefined ? change : { ...change, threshold };
  const signer = nacl.sign.keyPair.fromSeed(seed);
  const chain = changeIdentity(partsOf(bundle).chain, fixed, signer);
  const members = change.members ?? identity.newest.members;
  const bundles = await Promise.all(members.map(async (id) => grid.client.identity(id)));
  const document = bundleOf(chain, bundles);
  const changed = verifyIdentity(document, identity.id);
  await grid.client.putIdentity(document);
  await writeTeam(world.home, { ...saved, bundle: document });
  answer(world, valueOf(changed), textOf(changed));
}

function valueOf({ id, name, members, keys }: Identity): unknown {
  const shown = members.map((member) => ({ id: member.id, name: member.name }));
  return { id, name, members: shown, threshold: keys.threshold };
}

function textOf({ id, name, members, keys }: Identity): string {
  return table([
    ['Team:', name],
    ['Id:', id],
    ['Signs:', `${keys.threshold} of ${members.length}`],
    ...members.map((member) => ['Member:', `${member.name} ${member.id}`]),
  ]);
}
