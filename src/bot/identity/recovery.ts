import { type IdentityBundle, partsOf } from '../../identity/bundle.ts';
import { verifyIdentity } from '../../identity/document.ts';
import type { Envelope, Signer } from '../../identity/envelope.ts';
import { makeRotatingKeys, type SecretKeys } from '../../identity/keys.ts';
import {
  type Change,
  changeIdentity,
  documentAt,
  undoChanges as undoFrom,
  withChain,
} from '../../identity/operation.ts';
import { recoveryKeys } from '../../identity/recovery.ts';
import { toBase64 } from '../../lib/bytes.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import { createSelf, readSelf, stageKeys, writeIdentity } from '../store.ts';
import { answer, type World } from '../world.ts';
import { renew } from './renewal.ts';

/** `zos identity recover`: an identity out of its 24 words, with new keys for this machine. */
export async function recoverIdentity(world: World, id: string): Promise<void> {
  const recovery = recoveryKeys(await world.input());
  const grid = await openGrid(world);
  const bundle = await grid.client.identity(id);
  const { chain } = partsOf(bundle);
  verifyIdentity(bundle, id);
  const keys = makeRotatingKeys();
  const document = withChain(bundle, takenOver({ chain, recovery, keys }));
  const identity = verifyIdentity(document, id);
  await createSelf(world.home, keys);
  await grid.client.putIdentity(document);
  await writeIdentity(world.home, document);
  const text = `${identity.name} is yours again, with new keys; all older ones sign nothing.\n`;
  answer(world, { id, name: identity.name, document }, text);
}

type Takeover = {
  readonly chain: readonly Envelope[];
  readonly recovery: Signer;
  readonly keys: SecretKeys & { readonly rotation: Signer };
};

/** On top of the newest document that the words may change; what a thief made of it is undone. */
function takenOver({ chain, recovery, keys }: Takeover): Envelope[] {
  const key = toBase64(recovery.publicKey);
  const at = chain.findLastIndex((_, place) => documentAt(chain, place).rotationKeys.includes(key));
  if (at < 0) {
    const sentence = 'These words are not of this identity; check the id, and the words.';
    throw new BotError('IDENTITY_FIXED', sentence);
  }
  const change: Change = {
    rotationKeys: [key, toBase64(keys.rotation.publicKey)],
    signingKeys: [toBase64(keys.signing.publicKey)],
    deviceKeys: [],
    threshold: 1,
    sealingKeys: [toBase64(keys.sealing.publicKey)],
  };
  return at === chain.length - 1
    ? changeIdentity(chain, change, recovery)
    : undoFrom(chain, { from: at + 1, change }, recovery);
}

/**
 * `zos identity undo`: takes back the newest changes with the recovery words, which rank above all
 * keys that a machine holds, and gives this machine new keys: the old ones may be known.
 */
export async function undoChanges(world: World, count: number): Promise<void> {
  const own = { ...world, home: { path: world.home.path } };
  const self = await readSelf(own.home);
  const grid = await openGrid(own);
  const recovery = recoveryKeys(await own.input());
  const { bundle } = await renew(own, grid, self.document);
  const keys = makeRotatingKeys();
  const document = withChain(bundle, withoutNewest(bundle, { count, recovery, keys }));
  const identity = verifyIdentity(document, self.identity.id);
  await stageKeys(own.home, keys);
  await grid.client.putIdentity(document);
  await writeIdentity(own.home, document);
  const what = count === 1 ? 'The newest change is' : `The newest ${count} changes are`;
  const text = `${what} undone, and this machine has new keys.\n`;
  answer(world, { id: identity.id, document }, text);
}

function withoutNewest(
  bundle: IdentityBundle,
  { count, recovery, keys }: Omit<Takeover, 'chain'> & { readonly count: number },
): Envelope[] {
  const { chain } = partsOf(bundle);
  const from = chain.length - count;
  if (from < 1) {
    const sentence = `This identity has changed ${chain.length - 1} times; undo no more of them.`;
    throw new BotError('IDENTITY_FIXED', sentence);
  }
  const before = documentAt(chain, from - 1);
  const change: Change = {
    rotationKeys: [toBase64(recovery.publicKey), toBase64(keys.rotation.publicKey)],
    signingKeys: [toBase64(keys.signing.publicKey)],
    deviceKeys: before.deviceKeys,
    sealingKeys: [toBase64(keys.sealing.publicKey)],
  };
  return undoFrom(chain, { from, change }, recovery);
}
