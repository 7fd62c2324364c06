import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { IdentityBundle } from '../../identity/bundle.ts';
import { type Envelope, signEnvelope } from '../../identity/envelope.ts';
import { type Farm, farmSchema, type JoinToken, joinTokenSchema } from '../../identity/farm.ts';
import { sha256Hex, toHex } from '../../lib/bytes.ts';
import { untrustedPayload } from '../../identity/envelope.ts';
import { BotError } from '../errors.ts';
import { signNetwork } from './network.ts';
import { openGrid } from '../grid.ts';
import { readConfig, readFarms, readSelf, type SavedFarm, writeFarm } from '../store.ts';
import { answer, type World } from '../world.ts';

/** `zos farm create`: signs a farm and hands it to the directory. */
export async function createFarm(world: World, name: string): Promise<void> {
  const self = await readSelf(world.home);
  const checked = farmSchema.shape.name.safeParse(name);
  if (!checked.success) {
    const rule = checked.error.issues[0]?.message ?? '';
    throw new BotError('USAGE', `"${name}" can't name a farm: ${rule}.`);
  }
  const grid = await openGrid(world);
  const known = (await readFarms(world.home)).find((farm) => farm.name === name);
  const value: Farm = { grid: grid.name, farmer: self.identity.id, name };
  // The same farm is signed to the same bytes: creating it again tells the directory once more.
  const farm = known?.farm ?? signEnvelope('farm', value, self.keys.signing);
  const id = sha256Hex(untrustedPayload(farm, 'farm'));
  await grid.client.createFarm({ farm, farmer: self.document });
  await writeFarm(world.home, { id, name, farm });
  const next =
    'Next: `zos farm token --out DIR` makes join tokens for the boot media of its nodes.';
  answer(world, { id, name, farm, grid: grid.name }, `Farm ${name}\nId:   ${id}\n\n${next}\n`);
}

export type TokenWish = {
  readonly farm: string | undefined;
  readonly count: number;
  readonly validMs: number;
  readonly takeBlankDisks: boolean;
  /** A file that says how these nodes reach out; by themselves without one. */
  readonly network: string | undefined;
  readonly folder: string | undefined;
};

/** What the boot media of one node carries, so that it may join one farm, once. */
export type JoinFile = {
  readonly grid: string;
  readonly token: Envelope;
  readonly farmer: IdentityBundle;
  readonly network?: Envelope;
};

/** `zos farm token`: signs single-use join tokens; needs no directory. */
export async function makeTokens(world: World, wish: TokenWish): Promise<void> {
  const self = await readSelf(world.home);
  const farm = chooseFarm(await readFarms(world.home), wish.farm);
  const grid = (await readConfig(world.home)).directory?.grid ?? '';
  const signedNetwork =
    wish.network === undefined ? {} : { network: await signNetwork(wish.network, self, grid) };
  const files = Array.from({ length: wish.count }, (): JoinFile => {
    const token: JoinToken = {
      grid,
      farm: farm.id,
      farmer: self.identity.id,
      nonce: toHex(randomBytes(16)),
      notAfterMs: world.nowMs() + wish.validMs,
      takeBlankDisks: wish.takeBlankDisks,
    };
    const signed = signEnvelope('join-token', joinTokenSchema.parse(token), self.keys.signing);
    return { grid, token: signed, farmer: self.document, ...signedNetwork };
  });
  if (wish.folder === undefined) {
    answer(world, files, files.map((file) => `${JSON.stringify(file)}\n`).join(''));
    return;
  }
  const paths = await writeTokens(wish.folder, files);
  answer(world, { paths }, paths.map((path) => `${path}\n`).join(''));
}

/** The farm of this name, or the only one; throws `BotError`. */
export function chooseFarm(farms: readonly SavedFarm[], name: string | undefined): SavedFarm {
  const names = farms.map((farm) => farm.name).join(', ');
  const found = name === undefined ? farms : farms.filter((farm) => farm.name === name);
  const [farm] = found;
  if (farm !== undefined && found.length === 1) return farm;
  if (farms.length === 0) {
    throw new BotError('FARM_MISSING', 'There is no farm yet; make one: `zos farm create NAME`.');
  }
  const problem = name === undefined ? 'There are several farms' : `There is no farm ${name}`;
  throw new BotError('FARM_MISSING', `${problem}; say which with --farm: ${names}.`);
}

/** Whoever reads one of these files can use it once, so they are for this user's eyes only. */
async function writeTokens(folder: string, files: readonly JoinFile[]): Promise<string[]> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const paths: string[] = [];
    for (const file of files) {
      const name = sha256Hex(untrustedPayload(file.token, 'join-token')).slice(0, 10);
      const path = join(folder, `join-${name}.json`);
      await writeFile(path, `${JSON.stringify(file)}\n`, { flag: 'wx', mode: 0o600 });
      paths.push(path);
    }
    return paths;
  } catch (cause) {
    const sentence = `The tokens can't be written to ${folder}; check its rights, or name another.`;
    throw new BotError('FILE_UNREADABLE', sentence, { cause });
  }
}
