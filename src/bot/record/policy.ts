import { readFile } from 'node:fs/promises';
import { textOf, utf8 } from '../../lib/bytes.ts';
import { parsePolicy, type Policy, POLICY_BYTES_MAX } from '../../record/policy.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import { readConfig, writeConfig } from '../store.ts';
import type { World } from '../world.ts';
import { openRecord, required } from './fetch.ts';

/**
 * Whose record and which witnesses this bot goes by: what its directory said at first use, kept
 * beside the directory's identity. From then on no directory changes it. Throws `BotError`,
 * `RecordError`, and what asking throws.
 */
export async function recordPolicy(world: World): Promise<Policy> {
  const { url } = await openGrid(world);
  const config = await readConfig(world.home);
  const { directory } = config;
  if (directory?.policy !== undefined) return parsePolicy(utf8(directory.policy));
  const bytes = required(await openRecord(url, world.signal).policy(), 'policy of its record');
  const policy = parsePolicy(bytes);
  if (directory !== undefined) {
    const pinned = { ...directory, policy: textOf(bytes) };
    await writeConfig(world.home, { ...config, directory: pinned });
  }
  return policy;
}

/** The policy of a file that somebody trusted gave; throws `BotError` or `RecordError`. */
export async function policyOfFile(path: string): Promise<Policy> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await readFile(path));
  } catch (cause) {
    const sentence = `The policy ${path} can't be read; check its name.`;
    throw new BotError('FILE_UNREADABLE', sentence, { cause });
  }
  return parsePolicy(bytes.subarray(0, POLICY_BYTES_MAX + 1));
}
