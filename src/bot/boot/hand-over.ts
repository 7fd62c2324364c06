import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runOnTerminal } from '../../host/exec.ts';
import { BotError } from '../errors.ts';
import type { World } from '../world.ts';

/** The programs beside the bot that have a command of `zos` each. */
const PROGRAMS = {
  boot: 'boot/boot.ts',
  release: 'boot/release.ts',
  directory: 'src/directory/main.ts',
} as const;
export type HandedOver = keyof typeof PROGRAMS;

/**
 * Runs such a program in this one's place, on the same terminal: it may use what the bot may not.
 * Home and directory reach it as environment. Answers its exit status.
 */
export async function handOver(
  world: World,
  name: HandedOver,
  args: readonly string[],
): Promise<number> {
  const path = fileURLToPath(new URL(`../../../${PROGRAMS[name]}`, import.meta.url));
  if (!existsSync(path)) {
    throw new BotError('USAGE', `\`zos ${name}\` works in a clone of the repository only.`);
  }
  const { home, directoryUrl, isJson, signal } = world;
  return runOnTerminal({
    file: process.execPath,
    // A directory answers in JSON in any case.
    args: [path, ...args, ...(isJson && name !== 'directory' ? ['--json'] : [])],
    env: {
      ZOS_HOME: home.path,
      ...(directoryUrl === undefined ? {} : { ZOS_DIRECTORY: directoryUrl }),
    },
    signal,
  });
}
