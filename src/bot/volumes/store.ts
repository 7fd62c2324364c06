import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { fromBase64, toBase64 } from '../../lib/bytes.ts';
import { labelSchema } from '../../lib/names.ts';
import { VOLUME_KEY_BYTES } from '../../volume/spec.ts';
import type { Deployment } from '../deployment/spec.ts';
import { BotError } from '../errors.ts';
import { type Home, readJson, writeText } from '../store.ts';
import { type StandingVolume } from './standing.ts';

/**
 * The keys of a deployment's volumes. Who can read them, and the disk of the node, can read what is
 * in the volumes; who deletes them erases it for the next start of its node.
 */
const keysSchema = z.record(labelSchema, z.base64().length(88));

/** The key of each volume of a deployment, made here where there is none yet. */
export async function volumeKeys(
  home: Home,
  wished: Pick<Deployment, 'name' | 'containers'>,
  standing: readonly StandingVolume[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { name: deployment } = wished;
  const names = namesIn(wished);
  if (names.length === 0) return new Map();
  const known = (await readJson(home, pathOf(home, deployment), keysSchema)) ?? {};
  const fresh = names.filter((name) => known[name] === undefined);
  for (const name of fresh) {
    if (standing.some(({ volume }) => volume.name === name)) throw keyMissing(name);
    known[name] = toBase64(randomBytes(VOLUME_KEY_BYTES));
  }
  // Kept before anything is sent: what is written under a key that is lost is lost.
  if (fresh.length > 0) {
    await writeText(home, pathOf(home, deployment), `${JSON.stringify(known, null, 2)}\n`);
  }
  return new Map(names.map((name) => [name, fromBase64(known[name] ?? '') ?? new Uint8Array()]));
}

/** Forgets the keys of volumes that are no more: all of them where nothing is left. */
export async function forgetVolumeKeys(
  home: Home,
  deployment: string,
  left?: Pick<Deployment, 'containers'>,
): Promise<void> {
  const known = await readJson(home, pathOf(home, deployment), keysSchema);
  if (known === undefined) return;
  const names = left === undefined ? [] : namesIn(left);
  const kept = Object.entries(known).filter(([name]) => names.includes(name));
  if (kept.length === Object.keys(known).length) return;
  const text = `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`;
  await writeText(home, pathOf(home, deployment), text);
}

function namesIn({ containers }: Pick<Deployment, 'containers'>): string[] {
  return containers.flatMap(({ volumes }) => volumes.map(({ name }) => name));
}

function pathOf({ team }: Home, deployment: string): string {
  const file = join('volume-keys', `${deployment}.json`);
  return team === undefined ? file : join('teams', team, file);
}

function keyMissing(name: string): BotError {
  return new BotError(
    'VOLUME_KEY_MISSING',
    `The key of volume ${name} is not here; deploy from where it was made, or bring that ` +
      'ZOS_HOME’s folder volume-keys here.',
  );
}
