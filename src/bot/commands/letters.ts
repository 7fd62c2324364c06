import { signCancellation } from '../../contract/sign.ts';
import { utf8 } from '../../lib/bytes.ts';
import { parsePolicy } from '../../record/policy.ts';
import { type Letter, putLetter } from '../../sdk/letters.ts';
import { BotError } from '../errors.ts';
import { readConfig, readDeployments, type Self } from '../store.ts';
import { answer, type World } from '../world.ts';

/** How many of the witnesses that the bot's policy names took a letter. */
export async function leaveLetter(world: World, letter: Letter): Promise<number> {
  const { directory } = await readConfig(world.home);
  if (directory?.policy === undefined) return 0;
  const { witnesses } = parsePolicy(utf8(directory.policy));
  const urls = [...witnesses.values()].flatMap(({ url }) => url ?? []);
  const { signal } = world;
  const left = await Promise.allSettled(
    urls.map(async (url) => putLetter({ url, signal }, letter)),
  );
  return left.filter(({ status }) => status === 'fulfilled').length;
}

/**
 * Ends a deployment while no directory answers: signed words in the witnesses' letter boxes, where
 * nodes look. Throws `BotError` when a word could be left nowhere, and `cause` when this bot knows
 * no nodes of the deployment.
 */
export async function cancelByLetter(
  world: World,
  wish: { readonly wanted: string; readonly self: Self; readonly cause: unknown },
): Promise<void> {
  const { wanted, self, cause } = wish;
  const { directory } = await readConfig(world.home);
  const deployments = await readDeployments(world.home);
  const found = deployments.find(({ id, name }) => name === wanted || id === wanted);
  if (directory === undefined || found?.nodes === undefined) throw cause;
  const { grid } = directory;
  const tenant = self.identity.id;
  for (const [contract, node] of Object.entries(found.nodes)) {
    const said = { grid, contract, tenant, node, atMs: world.nowMs() };
    const cancellation = signCancellation(said, self.keys.signing);
    const count = await leaveLetter(world, { cancellation, tenant: self.document });
    if (count === 0) {
      const sentence =
        'The directory does not answer, and no witness of its record took the letter; try again.';
      throw new BotError('RECORD_MISSING', sentence, { cause });
    }
  }
  const { id, name } = found;
  const text =
    `The directory does not answer. The end of ${name} (${id}) waits for its nodes at the ` +
    `witnesses, and they look there every minute. Run \`zos cancel ${name}\` again when the ` +
    'directory is back, so that it is on the record too.\n';
  answer(world, { id, name, left: Object.keys(found.nodes) }, text);
}
