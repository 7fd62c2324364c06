import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { deviceSchema } from '../../identity/bundle.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { makeSecretKeys } from '../../identity/keys.ts';
import { deviceOf } from '../../identity/operation.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import { createSelf, isKeyOf, readKeys, writeIdentity } from '../store.ts';
import { answer, type World } from '../world.ts';
import { changeSelf } from './identity.ts';

/** `zos identity device new`: keys of this machine alone, and what its owner has to be given. */
export async function newDevice(world: World, name: string): Promise<void> {
  const keys = makeSecretKeys();
  const device = parseDevice(deviceOf(name, keys));
  await createSelf(world.home, keys);
  world.terminal.out(`${JSON.stringify(device)}\n`);
}

/** `zos identity device add`: lets a machine sign for this identity until it is removed. */
export async function addDevice(world: World, file: string): Promise<void> {
  const device = parseDevice(await readRequest(file));
  const { identity, document } = await changeSelf(world, ({ newest }) => ({
    deviceKeys: [...(newest?.deviceKeys ?? []).filter(({ name }) => name !== device.name), device],
  }));
  const next = `On that machine: \`zos identity device join ${identity.id}\`.`;
  answer(world, { id: identity.id, document }, `${device.name} signs for you now. ${next}\n`);
}

/** `zos identity device join`: takes up the identity that this machine was added to. */
export async function joinDevice(world: World, id: string): Promise<void> {
  const { keys } = await readKeys(world.home);
  const grid = await openGrid(world);
  const document = await grid.client.identity(id);
  const identity = verifyIdentity(document, id);
  if (!isKeyOf(identity, keys)) {
    const advice = 'give its owner the line that `zos identity device new` printed';
    throw new BotError('DEVICE_UNKNOWN', `This machine is no device of that identity; ${advice}.`);
  }
  await writeIdentity(world.home, document);
  answer(world, { id, name: identity.name }, `This machine signs for ${identity.name}.\n`);
}

/** `zos identity device remove`: from now on that machine signs for nobody. */
export async function removeDevice(world: World, name: string): Promise<void> {
  const { identity, document } = await changeSelf(world, ({ newest }) => {
    const devices = newest?.deviceKeys ?? [];
    const left = devices.filter((device) => device.name !== name);
    if (left.length < devices.length) return { deviceKeys: left };
    const known = devices.map((device) => device.name).join(', ');
    const others = known === '' ? 'you have none' : `you have ${known}`;
    throw new BotError('DEVICE_UNKNOWN', `There is no device ${name}; ${others}.`);
  });
  answer(world, { id: identity.id, document }, `${name} signs nothing for you any more.\n`);
}

function parseDevice(value: unknown): z.infer<typeof deviceSchema> {
  const parsed = deviceSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const sentence = 'This is no device; its name is a letter, then letters, digits and dashes.';
  throw new BotError('USAGE', sentence);
}

async function readRequest(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown;
  } catch (cause) {
    const advice = 'write what `zos identity device new` printed on that machine to a file';
    throw new BotError('FILE_UNREADABLE', `${file} holds no device; ${advice}.`, { cause });
  }
}
