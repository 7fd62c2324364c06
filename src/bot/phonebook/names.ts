import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../lib/errors.ts';
import { labelSchema } from '../../lib/names.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { holderOf, NameError, signClaim, type VerifiedClaim } from '../../phonebook/name.ts';
import type { Claim } from '../../phonebook/spec.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import { readSelf } from '../store.ts';
import { openProgress, shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { claimsOf, findName, type FoundName } from './find.ts';

const PROOF_WAIT_MS = 60 * SECOND_MS;
const LOOK_EVERY_MS = 300;

/** `zos name claim`: takes a name that is free, and waits until the record shows it. */
export async function claimName(world: World, name: string): Promise<void> {
  const { self, claims } = await beginClaim(world, name);
  const holding = holderOf(name, claims);
  if (holding !== undefined && holding.owner !== self.identity.id) {
    const sentence = `${name} is held by ${shortId(holding.owner)}; choose another name.`;
    throw new NameError('NAME_TAKEN', sentence);
  }
  if (holding === undefined) await send(world, { name, claims, state: 'held' });
  using progress = openProgress(world.terminal, world.nowMs, `waiting for the record of ${name}`);
  const found = await proven(world, name);
  progress.clear();
  answer(world, valueOf(found), `You hold ${name}.\n${placeOf(found)}\n`);
}

/** `zos name release`: gives a name up; from then on anybody may claim it. */
export async function releaseName(world: World, name: string): Promise<void> {
  const { self, claims } = await beginClaim(world, name);
  if (holderOf(name, claims)?.owner !== self.identity.id) {
    throw new BotError('NAME_UNKNOWN', `You don't hold the name ${name}; see \`zos name find\`.`);
  }
  await send(world, { name, claims, state: 'released' });
  answer(world, { name, state: 'released' }, `${name} is free for anybody to claim.\n`);
}

/** `zos name find`: whose a name is, proven here. */
export async function printName(world: World, name: string): Promise<void> {
  using progress = openProgress(world.terminal, world.nowMs, `looking up ${name}`);
  const found = await findName(world, checked(name));
  progress.clear();
  const { identity } = found;
  const text = `${name} is ${identity.id}, who goes by ${identity.name}.\n${placeOf(found)}\n`;
  answer(world, valueOf(found), text);
}

function checked(name: string): string {
  const parsed = labelSchema.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new BotError('USAGE', `A name is ${parsed.error.issues[0]?.message}; "${name}" is none.`);
}

async function beginClaim(world: World, name: string) {
  checked(name);
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  return { self, claims: (await claimsOf(grid, name)) ?? [] };
}

type Step = Pick<Claim, 'name' | 'state'> & { readonly claims: readonly VerifiedClaim[] };

async function send(world: World, { name, claims, state }: Step): Promise<void> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const version = claims.length + 1;
  const previous = claims.at(-1)?.digest ?? null;
  const claim = signClaim(
    { grid: grid.name, name, owner: self.identity.id, version, previous, state },
    self.keys.signing,
  );
  await grid.client.putName({ claim, owner: self.document });
}

/** The witnesses have to see it first, which takes a moment. */
async function proven(world: World, name: string): Promise<FoundName> {
  const startedMs = world.nowMs();
  for (;;) {
    try {
      return await findName(world, name);
    } catch (error) {
      const isEarly = codeOf(error) === 'NAME_UNPROVEN';
      if (!isEarly || world.nowMs() - startedMs > PROOF_WAIT_MS) throw error;
      await sleep(LOOK_EVERY_MS, undefined, { signal: world.signal });
    }
  }
}

function placeOf({ place: { checkpoint, index } }: FoundName): string {
  const witnesses = checkpoint.cosigned.map(({ key }) => key.name).join(', ') || 'no witness';
  return `Entry ${index} of ${checkpoint.head.size} on ${checkpoint.origin}, seen by ${witnesses}.`;
}

function valueOf({ holding, place, identity }: FoundName): unknown {
  const { checkpoint, index } = place;
  return {
    name: holding.name,
    id: identity.id,
    version: holding.version,
    digest: holding.digest,
    index,
    size: checkpoint.head.size,
    witnesses: checkpoint.cosigned.map(({ key }) => key.name),
  };
}
