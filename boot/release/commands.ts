import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { formatBytes } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import { answer, type Surroundings } from '../surroundings.ts';
import { makeKey, readPublicKey, type RoleName, ROLES, signersOf } from './keys.ts';
import { ensureLoaderKey, signLoaded } from './loader.ts';
import { writeMeasurements } from './measurements.ts';
import { refreshTimestamp, signRelease } from './metadata.ts';
import { checkRelease, tellDirectory } from './publication.ts';
import {
  acceptProposal,
  ensureRoot,
  type Proposal,
  proposeRoot,
  readRoots,
  signProposal,
} from './root.ts';

type Open = () => Surroundings & Paths;
type Paths = { readonly keysPath: string; readonly releasePath: string };

/** `zos release keys|sign|rotate|publish|refresh`, each a step of its own. */
export function addReleaseCommands(program: Command, open: Open): void {
  program
    .command('keys')
    .description('make the keys of a new release, or show which keys there are and what they sign')
    .option('--make <file>', 'only make one new key, to be held elsewhere; FILE.pub is given away')
    .action(async (options: { make?: string }) => {
      if (options.make !== undefined) await makeOne(open(), options.make);
      else await showKeys(open());
    });
  program
    .command('sign', { isDefault: true })
    .description('sign what was built; with --root-key, add one signature to a proposed root')
    .option('--root-key <file>', 'a secret key of the root, on the machine of its holder')
    .action(async (options: { rootKey?: string }) => {
      if (options.rootKey === undefined) await signBuilt(open());
      else await signRoot(open(), options.rootKey);
    });
  program
    .command('rotate')
    .argument('<role>', ROLES.join(', '))
    .description('propose a root in which one key of a role is another')
    .option('--public <file>', 'the public key of whoever holds it; without it one is made here')
    .option('--instead-of <id>', 'the first digits of the key that goes, where there are several')
    .action((role: string, options: { public?: string; insteadOf?: string }) =>
      rotate(open(), role, options),
    );
  program
    .command('publish')
    .description('take a proposed root, sign, check all as a machine would, and tell a directory')
    .addOption(new Option('--directory <url>', 'the directory that machines ask'))
    .action((options: { directory?: string }) => publish(open(), options.directory));
  program
    .command('refresh')
    .description('sign the timestamp anew, and nothing else')
    .action(() => refresh(open()));
}

async function makeOne(around: Surroundings, path: string): Promise<void> {
  const { key } = await makeKey(path);
  const publicPath = `${path.replace(/\.key$/u, '')}.pub`;
  answer(
    around,
    { id: key.keyID, path, publicPath },
    `Key ${key.keyID}\nSecret: ${path}, for nobody else; public: ${publicPath}\n`,
  );
}

async function showKeys(around: Surroundings & Paths): Promise<void> {
  const { keysPath, nowMs } = around;
  await ensureRoot({ keysPath, nowMs: nowMs() });
  await ensureLoaderKey({ keysPath, nowMs: nowMs() });
  const root = (await readRoots(keysPath)).at(-1)?.signed;
  if (root === undefined) throw new BootError('KEY_DAMAGED', `${keysPath} holds no root.json.`);
  const here = await readdir(keysPath);
  const rows = await Promise.all(
    ROLES.map(async (role) => {
      const present = await signersOf(keysPath, root, role);
      const { keyIDs = [], threshold = 0 } = root.roles[role] ?? {};
      const isHere = (id: string): boolean => present.some(({ key }) => key.keyID === id);
      const keys = keyIDs.map((id) => ({ id, isHere: isHere(id) }));
      return { role, threshold, keys };
    }),
  );
  const lines = rows.flatMap(({ role, threshold, keys }) =>
    keys.map(({ id, isHere }) => {
      const of = `${threshold} of ${keys.length}`;
      return `release: ${role.padEnd(10)} ${of}  ${id}  ${isHere ? 'here' : 'elsewhere'}\n`;
    }),
  );
  const isProposed = here.includes('proposed.root.json');
  const next = isProposed ? 'release: a root is proposed and waits for its signatures\n' : '';
  const { version, expires } = root;
  const head = `release: root ${version}, good until ${expires}\n`;
  answer(around, { version, expires, roles: rows, isProposed }, head + lines.join('') + next);
}

async function signBuilt(around: Surroundings & Paths): Promise<void> {
  const { keysPath, releasePath, root } = around;
  const nowMs = around.nowMs();
  await ensureRoot({ keysPath, nowMs });
  await signLoaded(releasePath, await ensureLoaderKey({ keysPath, nowMs }));
  const firstStagePath = join(root, 'dist/work/first.erofs');
  await measure(around);
  const signed = await signRelease({ releasePath, keysPath, firstStagePath, nowMs });
  const lines = signed.targets.map(
    ({ name, lengthBytes, sha256 }) => `release: ${sha256}  ${name}  ${formatBytes(lengthBytes)}\n`,
  );
  const { targets, snapshot, timestamp } = signed.versions;
  const versions = `release: targets ${targets}, snapshot ${snapshot}, timestamp ${timestamp}\n`;
  const reused = formatBytes(signed.reusedBytes);
  const reuse = `release: ${reused} of system.erofs come with the first stage\n`;
  answer(around, signed, lines.join('') + versions + reuse);
}

async function signRoot(around: Surroundings & Paths, keyPath: string): Promise<void> {
  tellProposal(around, await signProposal({ keysPath: around.keysPath, keyPath }));
}

/** What machines will measure, told under the same signatures as what they measure. */
async function measure({ root, keysPath, releasePath }: Surroundings & Paths): Promise<void> {
  const { version } = packageSchema.parse(
    JSON.parse(await readFile(join(root, 'package.json'), 'utf8')),
  );
  await writeMeasurements({ keysPath, releasePath, release: `zero-os ${version}` });
}

const packageSchema = z.object({ version: z.string() });

async function rotate(
  around: Surroundings & Paths,
  name: string,
  options: { public?: string; insteadOf?: string },
): Promise<void> {
  const role = ROLES.find((each) => each === name);
  if (role === undefined) {
    throw new BootError('USAGE', `There is no role ${name}; there are ${ROLES.join(', ')}.`);
  }
  const key = options.public === undefined ? undefined : await readPublicKey(options.public);
  const proposal = await proposeRoot({
    keysPath: around.keysPath,
    nowMs: around.nowMs(),
    role: role satisfies RoleName,
    ...(key === undefined ? {} : { key }),
    ...(options.insteadOf === undefined ? {} : { insteadOf: options.insteadOf }),
  });
  tellProposal(around, proposal);
}

function tellProposal(around: Surroundings, proposal: Proposal): void {
  const { path, version, byOld, byNew, changes } = proposal;
  const lines = [
    `release: root ${version} is proposed: ${path}`,
    ...changes.map((change) => `release:   ${change}`),
    `release: signed by ${byOld.has} of ${byOld.needs} keys of the root that is, and by ` +
      `${byNew.has} of ${byNew.needs} keys of this one`,
    byOld.has < byOld.needs || byNew.has < byNew.needs
      ? 'release: next, on the machine of each holder: zos release sign --root-key FILE'
      : 'release: next: zos release publish',
  ];
  answer(around, proposal, lines.map((line) => `${line}\n`).join(''));
}

async function publish(around: Surroundings & Paths, directory?: string): Promise<void> {
  const { keysPath, releasePath, root } = around;
  const nowMs = around.nowMs();
  await acceptProposal(keysPath);
  const firstStagePath = join(root, 'dist/work/first.erofs');
  await measure(around);
  await signRelease({ releasePath, keysPath, firstStagePath, nowMs });
  const { release, files } = await checkRelease({ releasePath, keysPath, nowMs });
  const url = directory ?? around.directoryUrl;
  const measurements = await readFile(join(releasePath, 'measurements.json'));
  if (url !== undefined) await tellDirectory(url, files, measurements);
  const { versions } = release;
  const text = Object.entries(versions).map(([role, version]) => `${role} ${version}`);
  const told = url === undefined ? 'no directory was told (--directory URL)' : `${url} knows`;
  answer(around, { versions, directory: url ?? null }, `release: ${text.join(', ')}; ${told}\n`);
}

async function refresh(around: Surroundings & Paths): Promise<void> {
  const { keysPath, releasePath, nowMs } = around;
  const version = await refreshTimestamp({ keysPath, releasePath, nowMs: nowMs() });
  answer(around, { timestamp: version }, `release: timestamp ${version}\n`);
}
