import { makeRotatingKeys } from '../../identity/keys.ts';
import { partsOf } from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { beginIdentity, type Change, changeIdentity, withChain } from '../../identity/operation.ts';
import { makeRecoveryWords, recoveryKeys } from '../../identity/recovery.ts';
import { toBase64 } from '../../lib/bytes.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import {
  createSelf,
  isKeyOf,
  readConfig,
  readSelf,
  type Self,
  stageKeys,
  writeIdentity,
} from '../store.ts';
import { table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { renew } from './renewal.ts';

/** `zos identity new`: makes keys that never leave this machine, and words for the day it burns. */
export async function newIdentity(world: World, name: string): Promise<void> {
  const keys = makeRotatingKeys();
  const recoveryWords = makeRecoveryWords();
  const recoveryKey = recoveryKeys(recoveryWords).publicKey;
  const document = beginIdentity({ name, keys, recoveryKey });
  await createSelf(world.home, keys, document);
  const identity = verifyIdentity(document);
  const text = [
    `Made the identity ${identity.name}.`,
    `Id:   ${identity.id}`,
    `Keys: ${world.home.path}/key.json`,
    '',
    'Write these 24 words on paper, now: they are shown once and kept nowhere. They give the',
    'identity back when this machine is lost, and take it back when its keys are stolen.',
    '',
    ...rowsOfWords(recoveryWords),
    '',
  ];
  answer(world, { id: identity.id, name, document, recoveryWords }, text.join('\n'));
}

/** `zos identity show`: what others may know of it, the newest that the directory has. */
export async function showIdentity(world: World): Promise<void> {
  const self = await readSelf(world.home);
  const isOnline = world.directoryUrl ?? (await readConfig(world.home)).directory?.url;
  const renewed =
    isOnline === undefined ? undefined : await renew(world, await openGrid(world), self.document);
  const identity = renewed?.identity ?? self.identity;
  if (renewed !== undefined) await writeIdentity(world.home, renewed.bundle);
  const document = renewed?.bundle ?? self.document;
  const { id, name, members } = identity;
  const changed = renewed === undefined ? 0 : renewed.added + renewed.undone;
  answer(
    world,
    {
      id,
      name,
      document,
      devices: identity.newest?.deviceKeys ?? [],
      members: members.map((member) => member.id),
      changes: identity.chain.length - 1,
      isOwnKeyGood: isKeyOf(identity, self.keys),
      isChanged: changed > 0,
    },
    textOf(identity, self, changed),
  );
}

function textOf(identity: Identity, { keys }: Self, changed: number): string {
  const { name, id, newest, chain } = identity;
  const rows = [
    ['Name:', name],
    ['Id:', id],
    ...(newest?.deviceKeys ?? []).map((device) => ['Device:', device.name]),
    ...(newest?.services ?? []).map((service) => ['Service:', `${service.name} ${service.url}`]),
    ...(chain.length > 1 ? [['Changed:', `${chain.length - 1} times`]] : []),
  ];
  const own = isKeyOf(identity, keys)
    ? ''
    : 'The keys of this machine no longer sign for it. If that was not you, run ' +
      '`zos identity undo` within 72 hours of the change.\n';
  const news =
    changed === 0
      ? ''
      : 'It was changed elsewhere since this machine looked. If that was not you, run ' +
        '`zos identity undo` within 72 hours of the change.\n';
  return `${table(rows)}${news}${own}`;
}

/** `zos identity rotate`: new keys in the place of all that this machine holds. */
export async function rotateIdentity(world: World): Promise<void> {
  const keys = makeRotatingKeys();
  const changed = await changeSelf(
    world,
    (identity, self) => {
      const rotation = self.keys.rotation?.publicKey;
      const mine = rotation === undefined ? '' : toBase64(rotation);
      const old = toBase64(self.keys.signing.publicKey);
      const { rotationKeys = [], signingKeys = [] } = identity.newest ?? {};
      const swap = (list: readonly string[], from: string, to: Uint8Array): string[] =>
        list.map((key) => (key === from ? toBase64(to) : key));
      return {
        rotationKeys: swap(rotationKeys, mine, keys.rotation.publicKey),
        signingKeys: swap(signingKeys, old, keys.signing.publicKey),
        sealingKeys: [toBase64(keys.sealing.publicKey)],
      };
    },
    keys,
  );
  const { id, name } = changed.identity;
  const text = `${name} has new keys; what the old ones signed runs on.\n`;
  answer(world, { id, name, document: changed.document }, text);
}

/**
 * Signs a change of the own identity with this machine's rotation key, on top of the newest that
 * the directory has, and hands it in. New keys are kept before anybody hears of them.
 */
export async function changeSelf(
  world: World,
  changeOf: (identity: Identity, self: Self) => Change,
  nextKeys?: Self['keys'],
): Promise<Self> {
  const own = { ...world, home: { path: world.home.path } };
  const self = await readSelf(own.home);
  const grid = await openGrid(own);
  const { bundle, identity } = await renew(own, grid, self.document);
  const { rotation } = self.keys;
  if (rotation === undefined || identity.newest === null) {
    const why =
      identity.newest === null ? 'was made before identities could change' : 'is changed elsewhere';
    throw new BotError(
      'IDENTITY_FIXED',
      `This identity ${why}; run this where it was made, or make a new one.`,
    );
  }
  const chain = changeIdentity(partsOf(bundle).chain, changeOf(identity, self), rotation);
  const document = withChain(bundle, chain);
  const changed = { identity: verifyIdentity(document), document, keys: nextKeys ?? self.keys };
  if (nextKeys !== undefined) await stageKeys(own.home, nextKeys);
  await grid.client.putIdentity(document);
  await writeIdentity(own.home, document);
  return changed;
}

function rowsOfWords(words: string): string[] {
  const all = words.split(' ').map((word, at) => `${`${at + 1}`.padStart(4)} ${word}`);
  return [0, 6, 12, 18].map((from) =>
    all
      .slice(from, from + 6)
      .map((word) => word.padEnd(14))
      .join('')
      .trimEnd(),
  );
}
