import { chmod, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { run } from '../../src/host/exec.ts';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { sha256OfFile } from '../debian/packages.ts';
import { UPDATE_COMMAND } from '../debian/pins.ts';
import { ImageError } from '../errors.ts';
import { withoutUnused } from './unused.ts';
import { makeOnce } from '../parts/phase.ts';
import type { Pins } from '../debian/pins.ts';
import type { Paths } from '../paths.ts';

const ENTRY = 'image/entry.ts';
/** Without a seed the code cache is another one at every build; other seeds make V8 reject it. */
const FIXED_SEED = '--random-seed=1';

/** Changes with what `unused.ts` overwrites, so that a stripped Node is made again. */
const UNUSED_NOTE = 'no compiler, English only';

export type Executable = {
  readonly path: string;
  /** The files that are in the bundle, for the bill of materials. */
  readonly inputs: readonly string[];
};

/**
 * `zos-node`: the agent and the boot program bundled into one stripped Node as a single executable
 * application. It runs its own program and no other: no option, `NODE_OPTIONS` or signal opens it.
 */
export async function makeExecutable(wish: {
  readonly paths: Paths;
  readonly pins: Pins;
}): Promise<Executable> {
  const { paths, pins } = wish;
  const { root, work } = paths;
  const node = join(root, 'node_modules', pins.node.package, 'bin/node');
  const stripped = await stripNode({ node, work, sha256: pins.node.sha256 });
  const bundle = join(work, 'zos-node.mjs');
  const inputs = await bundleAgent(root, bundle);
  await writeFile(paths.bundleInputs, `${JSON.stringify(inputs, null, 2)}\n`);
  const output = join(work, 'zos-node');
  const config = {
    // A name, not a path: it is kept in the executable, whose bytes should not tell the folder.
    main: basename(bundle),
    mainFormat: 'module',
    executable: basename(stripped),
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: ['--disable-sigusr1'],
    execArgvExtension: 'none',
  };
  const key = sha256Hex(
    utf8(JSON.stringify([config, FIXED_SEED, pins.node.sha256])),
    utf8((await sha256OfFile(bundle)) ?? ''),
  );
  const path = await makeOnce({
    path: output,
    key,
    make: async (part) => {
      const file = join(work, 'zos-node.json');
      await writeFile(file, JSON.stringify({ ...config, output: basename(part) }));
      const args = [FIXED_SEED, '--build-sea', file];
      await run({ file: node, args, cwd: work, deadlineMs: 5 * MINUTE_MS });
      await chmod(part, 0o755);
    },
  });
  return { path, inputs };
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

/** One file with all that the program imports; answers which files of which packages went in. */
async function bundleAgent(root: string, outfile: string): Promise<string[]> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [ENTRY],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
    // CommonJS packages ask for `require`; a bundle in an executable has only the built-in modules.
    banner: {
      js: "import{createRequire as zosRequire}from'node:module';const require=zosRequire('/');",
    },
  });
  return Object.keys(result.metafile.inputs).toSorted();
}
