import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sentenceOf } from '../src/lib/errors.ts';
import { formatBytes } from '../src/lib/units.ts';
import { ensureRoot } from './release/keys.ts';
import { ensureLoaderKey, signLoaded } from './release/loader.ts';
import { signRelease } from './release/metadata.ts';

const USAGE =
  'Usage: npm run release [-- --keys]   (--keys: only make the keys, if there are none)';

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    console.error(`release: ${sentenceOf(error)}`);
    process.exitCode = 1;
  }
}

async function main(args: readonly string[]): Promise<void> {
  const dist = fileURLToPath(new URL('../dist', import.meta.url));
  const keysPath = join(dist, 'keys');
  const nowMs = Date.now();
  if (args.length > 1 || (args.length === 1 && args[0] !== '--keys')) throw new Error(USAGE);
  await ensureRoot({ keysPath, nowMs });
  const loaderKey = await ensureLoaderKey({ keysPath, nowMs });
  if (args[0] === '--keys') return;
  await signLoaded(join(dist, 'release'), loaderKey);
  const firstStagePath = join(dist, 'work/first.erofs');
  const signed = await signRelease({
    releasePath: join(dist, 'release'),
    keysPath,
    firstStagePath,
    nowMs,
  });
  for (const { name, lengthBytes, sha256 } of signed.targets) {
    console.log(`release: ${sha256}  ${name}  ${formatBytes(lengthBytes)}`);
  }
  const { targets, snapshot, timestamp } = signed.versions;
  console.log(`release: targets ${targets}, snapshot ${snapshot}, timestamp ${timestamp}`);
  console.log(
    `release: ${formatBytes(signed.reusedBytes)} of system.erofs come with the first stage`,
  );
}
