import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchMetadata, type KnownMetadata } from '../../artifact/release/fetch-metadata.ts';
import { checkExpiry } from '../../artifact/release/metadata.ts';
import { fetchTarget } from '../../artifact/fetch.ts';
import { type Measurements, parseMeasurements } from '../../attestation/spec.ts';
import { fetchBytes } from '../../host/http.ts';
import { fromBase64, sha256Hex, toBase64 } from '../../lib/bytes.ts';
import { KiB, SECOND_MS } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import { readConfig, writeConfig } from '../store.ts';
import type { World } from '../world.ts';

const ROOT_BYTES_MAX = 64 * KiB;
const DEADLINE_MS = 15 * SECOND_MS;

/**
 * What an honest boot measures, out of the grid's signed release. The mirror is trusted with
 * nothing: everything it gives is checked against the release's root keys, which are read from
 * `rootPath`, remembered, or at first use taken as the mirror gives them, and told.
 */
export async function readMeasurements(world: World, rootPath?: string): Promise<Measurements> {
  const config = await readConfig(world.home);
  const mirror = world.mirrorUrl ?? config.release?.mirror;
  if (mirror === undefined) {
    throw new BotError(
      'MIRROR_MISSING',
      'No mirror of the release is known; name one once with --mirror URL, or set ZOS_MIRROR.',
    );
  }
  const given = rootPath === undefined ? undefined : await readRoot(rootPath);
  const remembered = config.release && fromBase64(config.release.root);
  const first = given ?? remembered ?? (await firstRoot(world, mirror));
  const known: KnownMetadata = { roots: [first] };
  const release = await fetchMetadata({ mirror, known, signal: world.signal });
  checkExpiry(release, world.nowMs());
  const path = join(world.home.path, 'measurements.json');
  const target = release.target('measurements.json');
  await fetchTarget({ target, mirror, path, signal: world.signal });
  const measurements = parseMeasurements(new Uint8Array(await readFile(path)));
  await writeConfig(world.home, {
    ...config,
    release: { mirror, root: toBase64(known.roots.at(-1) ?? first) },
  });
  return measurements;
}

async function readRoot(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    const sentence = `${path} can't be read; name the release's root.json.`;
    throw new BotError('FILE_UNREADABLE', sentence, { cause });
  }
}

async function firstRoot(world: World, mirror: string): Promise<Uint8Array> {
  const url = `${mirror.replace(/\/+$/u, '')}/metadata/1.root.json`;
  const bytesMax = ROOT_BYTES_MAX;
  const root = await fetchBytes({ url, bytesMax, deadlineMs: DEADLINE_MS, signal: world.signal });
  const name = sha256Hex(root).slice(0, 16);
  world.terminal.err(
    `Release keys ${name} taken from ${mirror} at first use; compare, or name --root FILE.\n`,
  );
  return root;
}
