import { readFile } from 'node:fs/promises';
import { checkExpiry } from '../../artifact/release/metadata.ts';
import type { Measurements } from '../../attestation/spec.ts';
import { fromBase64, sha256Hex, toBase64, utf8 } from '../../lib/bytes.ts';
import { verifyRelease } from '../../sdk/release.ts';
import { BotError } from '../errors.ts';
import type { Grid } from '../grid.ts';
import { readConfig, writeConfig } from '../store.ts';
import type { World } from '../world.ts';

/**
 * What an honest boot measures, out of the newest signed release. The directory carries it and is
 * trusted with nothing of it: all is checked against the release's root keys, which are read from
 * `rootPath`, remembered, or at first use taken as the directory gives them, and told.
 */
export async function readMeasurements(
  world: World,
  grid: Grid,
  rootPath?: string,
): Promise<Measurements> {
  const config = await readConfig(world.home);
  const said = await grid.client.release();
  const given = rootPath === undefined ? undefined : await readRoot(rootPath);
  const remembered = config.releaseRoot === undefined ? undefined : fromBase64(config.releaseRoot);
  const root = given ?? remembered ?? utf8(said.trustedRoot);
  const { release, measurements } = verifyRelease(root, said);
  checkExpiry(release, world.nowMs());
  if (given === undefined && remembered === undefined) {
    const name = sha256Hex(root).slice(0, 16);
    world.terminal.err(
      `Release keys ${name} are taken as the directory gives them, once; ` +
        'to be sure, compare, or name --root FILE.\n',
    );
  }
  await writeConfig(world.home, { ...config, releaseRoot: toBase64(root) });
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
