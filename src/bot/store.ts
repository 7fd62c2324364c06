import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bundleSchema, type IdentityBundle } from '../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../identity/document.ts';
import { type Envelope, envelopeSchema } from '../identity/envelope.ts';
import { gridSchema } from '../identity/farm.ts';
import { decodeSecretKeys, encodeSecretKeys, type SecretKeys } from '../identity/keys.ts';
import { isSameBytes } from '../lib/bytes.ts';
import { labelSchema, sha256Schema } from '../lib/names.ts';
import { POLICY_BYTES_MAX } from '../record/policy.ts';
import { BotError } from './errors.ts';

/**
 * What the bot keeps in `ZOS_HOME`. Whoever can write here can make the bot speak to another
 * directory or forget deployments; whoever can read `key.json` is the tenant. Everything else here
 * is checked again when it is used.
 */
export type Home = {
  readonly path: string;
  /** The team that commands act for; without one, the own identity. */
  readonly team?: string | undefined;
};

/** Who uses this bot: the keys, and the document that everybody else sees. */
export type Self = {
  readonly identity: Identity;
  readonly document: IdentityBundle;
  readonly keys: SecretKeys;
};

const configSchema = z.strictObject({
  directory: z
    .strictObject({
      url: z.url(),
      identity: sha256Schema,
      grid: gridSchema,
      /** Of its record: the log's key and the witnesses who have to have seen it. */
      policy: z.string().max(POLICY_BYTES_MAX).optional(),
    })
    .optional(),
  /** The root of the release's keys that this bot goes by, base64 of its file. */
  releaseRoot: z.string().max(100_000).optional(),
});
/** The directory that this bot knows, pinned at first use. */
export type Config = z.infer<typeof configSchema>;

const savedFarmSchema = z.strictObject({
  id: sha256Schema,
  name: z.string(),
  farm: envelopeSchema,
});
/** A farm of this farmer. */
export type SavedFarm = z.infer<typeof savedFarmSchema>;

const savedTeamSchema = z.strictObject({
  name: labelSchema,
  bundle: bundleSchema,
  /** Of the key that changes the team; only where it was made. */
  rotationSeed: z.string().length(44).optional(),
});
/** A team that this bot signs for. */
export type SavedTeam = z.infer<typeof savedTeamSchema>;

const KEY_FILE = 'key.json';
const NEXT_KEY_FILE = 'key.next.json';
const IDENTITY_FILE = 'identity.json';

const savedDeploymentSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{10}$/),
  name: z.string().max(32),
  deployedAtMs: z.int(),
  /** The ids of its contracts; what they say is read from the directory and checked again. */
  contracts: z.array(sha256Schema).min(1).max(64),
  /** The node of each, for when no directory can be asked. */
  nodes: z.record(sha256Schema, sha256Schema).optional(),
});
/** A deployment that this bot made: enough to find its contracts again. */
export type SavedDeployment = z.infer<typeof savedDeploymentSchema>;

/** Keeps a new identity; throws `BotError` when there is one already. */
export async function createSelf(home: Home, keys: SecretKeys, document?: Envelope): Promise<void> {
  if ((await readText(home, KEY_FILE)) !== undefined) {
    throw new BotError(
      'IDENTITY_EXISTS',
      `There is an identity in ${home.path} already, and it is not overwritten; ` +
        'use --home DIR for a second one.',
    );
  }
  // The document first: a key without its document would be an identity that nobody can name.
  if (document !== undefined) await writeIdentity(home, document);
  await writeText(home, KEY_FILE, encodeSecretKeys(keys));
}

/**
 * Keys that are about to take effect: kept before anybody hears of them, and taken for the own ones
 * as soon as the identity that is kept here names them, whatever was cut off in between.
 */
export async function stageKeys(home: Home, keys: SecretKeys): Promise<void> {
  await writeText(home, NEXT_KEY_FILE, encodeSecretKeys(keys));
}

/** Remembers the own identity, as it was checked. */
export async function writeIdentity(home: Home, bundle: IdentityBundle): Promise<void> {
  await writeText(home, IDENTITY_FILE, `${JSON.stringify(bundle)}\n`);
}

/** The keys of this bot, and those that are staged; throws `BotError` when there are none. */
export async function readKeys(home: Home): Promise<{ keys: SecretKeys; next?: SecretKeys }> {
  const text = await readText(home, KEY_FILE);
  if (text === undefined) {
    throw new BotError(
      'IDENTITY_MISSING',
      `There is no identity in ${home.path}; make one with \`zos identity new\`.`,
    );
  }
  const keys = decodeSecretKeys(text);
  const next = await readText(home, NEXT_KEY_FILE);
  return next === undefined ? { keys } : { keys, next: decodeSecretKeys(next) };
}

/** Whom this bot acts for: its own identity, or the team that was named. Throws `BotError`. */
export async function readSelf(home: Home): Promise<Self> {
  const { keys, next } = await readKeys(home);
  if (home.team !== undefined) {
    const team = await readTeam(home, home.team);
    return { identity: verifyIdentity(team.bundle), document: team.bundle, keys };
  }
  const document = await readJson(home, IDENTITY_FILE, bundleSchema);
  if (document === undefined) {
    throw new BotError(
      'IDENTITY_MISSING',
      `This machine is no device of anybody yet; run \`zos identity device join ID\` once its ` +
        'owner has added it.',
    );
  }
  const identity = verifyIdentity(document);
  if (next === undefined || !isKeyOf(identity, next)) return { identity, document, keys };
  await writeText(home, KEY_FILE, encodeSecretKeys(next));
  await rm(join(home.path, NEXT_KEY_FILE), { force: true });
  return { identity, document, keys: next };
}

/** Whether these keys sign for an identity now. */
export function isKeyOf({ keys: { publicKeys } }: Identity, { signing }: SecretKeys): boolean {
  return publicKeys.some((key) => isSameBytes(key, signing.publicKey));
}

/** A team that this bot knows by the name it has here; throws `BotError`. */
export async function readTeam(home: Home, name: string): Promise<SavedTeam> {
  const team = await readJson(home, join('teams', `${name}.json`), savedTeamSchema);
  if (team !== undefined) return team;
  const advice = '`zos team new` makes one, `zos team join ID` takes one up that you are in';
  throw new BotError('TEAM_UNKNOWN', `There is no team ${name} here; ${advice}.`);
}

/** Remembers a team; who reads its file can change who is in it, when it was made here. */
export async function writeTeam(home: Home, team: SavedTeam): Promise<void> {
  await writeText(home, join('teams', `${team.name}.json`), `${JSON.stringify(team)}\n`);
}

/** What was remembered of the directory; empty at first use. */
export async function readConfig(home: Home): Promise<Config> {
  return (await readJson(home, 'config.json', configSchema)) ?? {};
}

/** Remembers the directory. */
export async function writeConfig(home: Home, config: Config): Promise<void> {
  await writeText(home, 'config.json', `${JSON.stringify(config, null, 2)}\n`);
}

/** Every farm that this identity made. */
export async function readFarms(home: Home): Promise<SavedFarm[]> {
  return readFolder(home, 'farms', savedFarmSchema);
}

/** Remembers a farm. */
export async function writeFarm(home: Home, farm: SavedFarm): Promise<void> {
  await writeText(home, join('farms', `${farm.name}.json`), `${JSON.stringify(farm)}\n`);
}

/** The newest update policy that was signed here for a farm, whatever a directory shows. */
export async function readPolicy(home: Home, farm: SavedFarm): Promise<Envelope | undefined> {
  return readJson(home, join('policies', `${farm.name}.json`), envelopeSchema);
}

/** Remembers a farm's update policy. */
export async function writePolicy(home: Home, farm: SavedFarm, policy: Envelope): Promise<void> {
  await writeText(home, join('policies', `${farm.name}.json`), `${JSON.stringify(policy)}\n`);
}

/** The newest terms that were signed here for a farm, whatever a directory shows. */
export async function readTerms(home: Home, farm: SavedFarm): Promise<Envelope | undefined> {
  return readJson(home, join('terms', `${farm.name}.json`), envelopeSchema);
}

/** Remembers a farm's terms. */
export async function writeTerms(home: Home, farm: SavedFarm, terms: Envelope): Promise<void> {
  await writeText(home, join('terms', `${farm.name}.json`), `${JSON.stringify(terms)}\n`);
}

/** Every deployment this bot knows of, newest first. */
export async function readDeployments(home: Home): Promise<SavedDeployment[]> {
  const found = await readFolder(home, deploymentsOf(home), savedDeploymentSchema);
  return found.sort((a, b) => b.deployedAtMs - a.deployedAtMs);
}

/** Remembers a deployment, in the place of what was known under its name. */
export async function writeDeployment(home: Home, deployment: SavedDeployment): Promise<void> {
  const before = await readDeployments(home);
  const name = join(deploymentsOf(home), `${deployment.id}.json`);
  await writeText(home, name, `${JSON.stringify(deployment)}\n`);
  for (const { id, name: known } of before) {
    if (known === deployment.name && id !== deployment.id) await removeDeployment(home, id);
  }
}

/** Forgets a deployment, which has ended. */
export async function removeDeployment(home: Home, id: string): Promise<void> {
  await rm(join(home.path, deploymentsOf(home), `${id}.json`), { force: true });
}

function deploymentsOf({ team }: Home): string {
  return team === undefined ? 'deployments' : join('teams', team, 'deployments');
}

async function readFolder<T>(home: Home, folder: string, schema: z.ZodType<T>): Promise<T[]> {
  const names = await readdir(join(home.path, folder)).catch(() => []);
  const files = names.filter((name) => name.endsWith('.json')).sort();
  const found = await Promise.all(files.map((name) => readJson(home, join(folder, name), schema)));
  return found.filter((item) => item !== undefined);
}

/** A file of the home folder, checked; `undefined` when there is none. Throws `BotError`. */
export async function readJson<T>(
  home: Home,
  name: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const text = await readText(home, name);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(home, name, cause);
  }
}

async function readText(home: Home, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(home.path, name), 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    const path = join(home.path, name);
    const sentence = `${path} can't be read; check whose it is, or use --home DIR.`;
    throw new BotError('HOME_DAMAGED', sentence, { cause });
  }
}

/** Written beside and renamed, so that a cut leaves no half a file; for this user only. */
export async function writeText(home: Home, name: string, text: string): Promise<void> {
  const path = join(home.path, name);
  try {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await chmod(home.path, 0o700);
    const beside = `${path}.new`;
    await rm(beside, { force: true });
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (cause) {
    const sentence = `${path} can't be written; check the rights and the room, or use --home DIR.`;
    throw new BotError('HOME_UNWRITABLE', sentence, { cause });
  }
}

function damaged(home: Home, name: string, cause?: unknown): BotError {
  const sentence = `${join(home.path, name)} is damaged; restore it from a backup, or delete it.`;
  return new BotError('HOME_DAMAGED', sentence, { cause });
}
