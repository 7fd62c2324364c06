import { z } from 'zod';
import { utf8 } from '../../src/lib/bytes.ts';
import { type BootMedia, MIRRORS_MAX, mirrorSchema } from '../../src/artifact/spec.ts';
import { bundleSchema } from '../../src/identity/bundle.ts';
import { envelopeSchema } from '../../src/identity/envelope.ts';
import { BootError } from '../errors.ts';
import { askBot, openBot } from '../grid/bot.ts';
import type { Surroundings } from '../surroundings.ts';

export type FarmWish = {
  /** Which farm, when the farmer has several. */
  readonly farm: string | undefined;
  readonly mirrors: readonly string[];
  /** Such as `30d`. */
  readonly valid: string;
  readonly takesBlankDisks: boolean;
  /** A file of network settings; see `zos farm token --help`. */
  readonly network?: string;
};

const tokensSchema = z
  .array(
    z.object({
      grid: z.string(),
      token: envelopeSchema,
      farmer: bundleSchema,
      network: envelopeSchema.optional(),
    }),
  )
  .length(1);

/**
 * The `farm.json` of one machine, with a join token that the farmer signs for it now: by the
 * command `zos farm token`, which holds the keys. Throws `BootError`.
 */
export async function signFarmFile(around: Surroundings, wish: FarmWish): Promise<Uint8Array> {
  const mirrors = checkMirrors(wish.mirrors);
  const { root, home } = around;
  // No directory is asked: the farm was told to it when it was made.
  const bot = openBot({ root, home, directoryUrl: around.directoryUrl ?? 'http://127.0.0.1' });
  const args = [
    ['farm', 'token', '--count', '1', '--valid', wish.valid],
    wish.farm === undefined ? [] : ['--farm', wish.farm],
    wish.takesBlankDisks ? ['--take-blank-disks'] : [],
    wish.network === undefined ? [] : ['--network', wish.network],
  ].flat();
  const [file] = await askBot(bot, args, tokensSchema);
  if (file === undefined) throw new BootError('PROGRAM_FAILED', 'zos signed no token.');
  const media: BootMedia = { ...file, mirrors };
  return utf8(JSON.stringify(media));
}

function checkMirrors(mirrors: readonly string[]): string[] {
  if (mirrors.length === 0 || mirrors.length > MIRRORS_MAX) {
    throw new BootError(
      'USAGE',
      `Name 1 to ${MIRRORS_MAX} mirrors with --mirrors: where the node fetches its release from.`,
    );
  }
  for (const mirror of mirrors) {
    if (mirrorSchema.safeParse(mirror).success) continue;
    throw new BootError(
      'USAGE',
      `"${mirror}" is no mirror; write an address such as http://mirror.example/zos.`,
    );
  }
  return [...mirrors];
}
