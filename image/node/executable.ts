import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { sha256OfFile } from '../debian/packages.ts';
import { UPDATE_COMMAND } from '../debian/pins.ts';
import { ImageError } from '../errors.ts';
import { bundleProgram } from './bundle.ts';
import { LEAN } from './lean.ts';
import { withoutUnused } from './unused.ts';
import { makeOnce } from '../parts/phase.ts';
import type { Pins } from '../debian/pins.ts';
import type { Paths } from '../paths.ts';

/** What it begins with, which loads one of the two others; see there. */
const START = 'image/program/start.ts';
export const PROGRAMS = {
  node: 'image/program/node.ts',
  courier: 'image/program/courier.ts',
} as const;
const COMPILE = 'image/node/compile.ts';
/** Without a seed the code cache is another one at every build; other seeds make V8 reject it. */
const FIXED_SEED = '--random-seed=1';

/** Nobody can change them: no signal opens an inspector. */
const OPTIONS = ['--disable-sigusr1'];

/** Changes with what `unused.ts` overwrites, so that a stripped Node is made again. */
const UNUSED_NOTE = 'no compiler, English only';

export type Executable = {
  readonly path: string;
  /** The files that are in its programs, for the bill of materials. */
  readonly inputs: readonly string[];
};

/**
 * `zos-node`: the programs of a node in one stripped Node as a single executable application. It
 * runs these programs and no other: no option, `NODE_OPTIONS` or signal opens it.
 */
export async function makeExecutable(wish: {
  readonly paths: Paths;
  readonly pins: Pins;
}): Promise<Executable> {
  const { paths, pins } = wish;
  const { root, work } = paths;
  const node = join(root, 'node_modules', pins.node.package, 'bin/node');
  const stripped = await stripNode({ node, work, sha256: pins.node.sha256 });
  const folder = join(work, 'programs');
  const inputs = await bundlePrograms({ root, folder, entries: PROGRAMS });
  await writeFile(paths.bundleInputs, `${JSON.stringify(inputs, null, 2)}\n`);
  const names = ['start', ...Object.keys(PROGRAMS)];
  const digests = names.map((name) => sha256OfFile(join(folder, `${name}.js`)));
  const how = [pins.node.sha256, UNUSED_NOTE, FIXED_SEED, ...LEAN, ...OPTIONS];
  const path = await makeOnce({
    path: join(work, 'zos-node'),
    key: sha256Hex(utf8(JSON.stringify([how, await Promise.all(digests)]))),
    make: (part) => sealPrograms({ root, node, stripped, folder, path: part }),
  });
  return { path, inputs };
}

/** Bundles each program and what begins, as `NAME.js` in a folder; answers what went in. */
export async function bundlePrograms(wish: {
  readonly root: string;
  readonly folder: string;
  readonly entries: Readonly<Record<keyof typeof PROGRAMS, string>>;
}): Promise<string[]> {
  const { root, folder, entries } = wish;
  await mkdir(folder, { recursive: true });
  const all = await Promise.all(
    Object.entries({ start: START, ...entries }).map(([name, entry]) =>
      bundleProgram({
        root,
        entry,
        outfile: join(folder, `${name}.js`),
        isLoaded: entry !== START,
      }),
    ),
  );
  return [...new Set(all.flat())].toSorted();
}

/** Compiles the programs of a folder and puts them into Node, as one executable. */
export async function sealPrograms(wish: {
  readonly root: string;
  readonly node: string;
  readonly stripped: string;
  readonly folder: string;
  readonly path: string;
}): Promise<void> {
  const { root, node, stripped, folder, path } = wish;
  const assets: Record<string, string> = {};
  for (const name of Object.keys(PROGRAMS)) {
    await compile({ root, node, folder, name });
    assets[`${name}.js`] = `${name}.js`;
    assets[`${name}.cache`] = `${name}.cache`;
  }
  const config = {
    // A name, not a path: it is kept in the executable, whose bytes should not tell the folder.
    main: 'start.js',
    executable: stripped,
    output: path,
    assets,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: [...OPTIONS, ...LEAN],
    execArgvExtension: 'none',
  };
  await writeFile(join(folder, 'sea.json'), JSON.stringify(config));
  const args = [FIXED_SEED, ...LEAN, '--build-sea', 'sea.json'];
  await run({ file: node, args, cwd: folder, deadlineMs: 5 * MINUTE_MS });
  await chmod(path, 0o755);
}

/** With the flags that it runs with, or V8 refuses the cache, and compiles on the node. */
async function compile(wish: {
  readonly root: string;
  readonly node: string;
  readonly folder: string;
  readonly name: string;
}): Promise<void> {
  const { root, node, folder, name } = wish;
  const files = [`${name}.js`, `${name}.cache`];
  const tool = [join(root, COMPILE), ...files];
  const wishOf = { file: node, cwd: folder, deadlineMs: MINUTE_MS };
  await rm(join(folder, `${name}.cache`), { force: true });
  await run({ ...wishOf, args: [FIXED_SEED, ...LEAN, ...tool] });
  await run({ ...wishOf, args: [...LEAN, ...tool] }).catch((cause: unknown) => {
    const sentence = `V8 does not take the compiled ${name}; see image/node/compile.ts.`;
    throw new ImageError('CACHE_REFUSED', sentence, { cause });
  });
}

/** The binary is pinned apart from its package, which is a third party's repack of Node.js. */
async function stripNode(wish: { node: string; work: string; sha256: string }): Promise<string> {
  if ((await sha256OfFile(wish.node)) !== wish.sha256) {
    throw new ImageError(
      'PIN_MISMATCH',
      `${wish.node} is not the pinned Node.js; run npm ci, or pin the new one: ${UPDATE_COMMAND}.`,
    );
  }
  return makeOnce({
    path: join(wish.work, 'node-stripped'),
    key: sha256Hex(utf8(`${wish.sha256} ${UNUSED_NOTE}`)),
    make: async (part) => {
      await run({
        file: 'strip',
        args: ['--strip-all', '-o', part, wish.node],
        deadlineMs: MINUTE_MS,
      });
      await writeFile(part, withoutUnused(await readFile(part)));
    },
  });
}
