import { idSchema } from '../../identity/document.ts';
import { RELEASES_MAX } from '../../rollout/spec.ts';
import { BotError } from '../errors.ts';
import { shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { type FarmUpdates, openUpdates, signNext } from './policy.ts';

export type RolloutWish = { readonly release: string; readonly farm: string | undefined };

/** `zos farm rollout resume`: lets a release that was stopped be tried again. */
export async function resumeRollout(world: World, wish: RolloutWish): Promise<void> {
  const updates = await openUpdates(world, wish.farm);
  const release = findRelease(updates, wish.release);
  const { version } = await signNext(updates, (policy) => ({
    stopped: policy.stopped.filter((each) => each !== release),
    forgiven: [
      ...policy.forgiven.filter((each) => each.release !== release),
      { release, version: policy.version },
    ].slice(-RELEASES_MAX),
  }));
  const { name } = updates.farm;
  const text =
    `Release ${shortId(release)} goes on in farm ${name}. Nodes that found it bad try it once ` +
    'more, each in its turn.\n';
  answer(world, { farm: name, release, version, state: 'resumed' }, text);
}

/** `zos farm rollout stop`: no node of the farm takes a release up any more. */
export async function stopRollout(world: World, wish: RolloutWish): Promise<void> {
  const updates = await openUpdates(world, wish.farm);
  const release = findRelease(updates, wish.release);
  const { version } = await signNext(updates, (policy) => ({
    stopped: [...policy.stopped.filter((each) => each !== release), release].slice(-RELEASES_MAX),
  }));
  const { name } = updates.farm;
  const text =
    `Release ${shortId(release)} is stopped in farm ${name}: no further node takes it up, and ` +
    `those that have it keep it. Next: \`zos farm rollout resume ${shortId(release)}\`.\n`;
  answer(world, { farm: name, release, version, state: 'stopped' }, text);
}

/** A release by its first digits among those that are known, or by all of them. */
function findRelease({ said, policy }: FarmUpdates, wanted: string): string {
  if (idSchema.safeParse(wanted).success) return wanted;
  const known = new Set([
    ...said.turns.map(({ release }) => release),
    ...(policy?.stopped ?? []),
    ...(policy?.forgiven ?? []).map(({ release }) => release),
  ]);
  const isPrefix = /^[0-9a-f]{4,63}$/u.test(wanted);
  const found = [...known].filter((release) => isPrefix && release.startsWith(wanted));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const problem = found.length > 1 ? 'Several releases begin' : 'No release of this farm begins';
  const sentence = `${problem} with "${wanted}"; \`zos farm updates\` shows them.`;
  throw new BotError('RELEASE_UNKNOWN', sentence);
}
