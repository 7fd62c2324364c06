import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { run } from '../../../src/host/exec.ts';
import type { Figure } from '../figure.ts';

type Seen = {
  readonly overCrun: number;
  readonly createdASecond: number;
  readonly restartS: number;
  readonly touched: number;
  readonly restPercent: number;
  readonly passMs: number;
  readonly slowPassMs: number;
  readonly fullPercent: number;
  readonly anonymousMb: number;
  readonly slopeBytes: number;
};

type Of = { readonly of: (all: Seen) => number };

const FIGURES: readonly (Omit<Figure, 'measure'> & Of)[] = [
  {
    name: 'contract-over-crun',
    what: 'a contract, checked and its container seen running, p50, over crun create and start',
    unit: 'times',
    reach: 2,
    of: ({ overCrun }) => overCrun,
  },
  {
    name: 'containers-a-second',
    what: '300 small containers on one node, from the first to the last',
    unit: 'a second',
    reach: 8,
    isLeast: true,
    of: ({ createdASecond }) => createdASecond,
  },
  {
    name: 'agent-restart',
    what: 'agent killed to its first look at 200 containers, none of which it touches',
    unit: 's',
    reach: 3,
    of: ({ restartS, touched }) => (touched === 0 ? restartS : Infinity),
  },
  {
    name: 'loop-pass',
    what: 'one pass of the loop with nothing to do, and its look, 500 containers, p50',
    unit: 'ms',
    reach: 50,
    of: ({ passMs }) => passMs,
  },
  {
    name: 'loop-pass-slow',
    what: 'the same, p95',
    unit: 'ms',
    reach: 50,
    of: ({ slowPassMs }) => slowPassMs,
  },
  {
    name: 'agent-rest-full',
    what: 'processor that the agent takes with 500 containers and nothing to do',
    unit: '% of a core',
    reach: 1,
    of: ({ fullPercent }) => fullPercent,
  },
  {
    name: 'agent-rest',
    what: 'processor that the agent takes with 200 containers and nothing to do',
    unit: '% of a core',
    reach: 1,
    of: ({ restPercent }) => restPercent,
  },
  {
    name: 'agent-memory',
    what: 'anonymous memory of the agent with 200 containers, at its most over many looks',
    unit: 'MB',
    reach: 48,
    of: ({ anonymousMb }) => anonymousMb,
  },
  {
    name: 'agent-slope',
    what: 'anonymous memory that each look adds, 200 containers, by least squares',
    unit: 'bytes a look',
    reach: 256,
    of: ({ slopeBytes }) => slopeBytes,
  },
];

/**
 * The figures of the agent's loop, on this machine's own processor and kernel: real containers,
 * without their limits where the kernel's cgroups are of version 1. All in one go, on first use.
 */
export function figuresOfLoop(root: string): Figure[] {
  let seen: Promise<Seen> | undefined;
  return FIGURES.map(({ of, ...figure }) => ({
    ...figure,
    measure: async () => of(await (seen ??= measure(root))),
  }));
}

async function measure(root: string): Promise<Seen> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-bench-loop-'));
  try {
    const source = join(root, 'test/bench/loop');
    const bundle = async (name: string): Promise<string> => {
      const outfile = join(folder, `${name}.mjs`);
      await build({
        entryPoints: [join(source, `${name}.ts`)],
        outfile,
        bundle: true,
        minify: true,
        platform: 'node',
        target: 'node26',
        format: 'esm',
        logLevel: 'silent',
        banner: {
          js: "import{createRequire as zosRequire}from'node:module';const require=zosRequire('/');",
        },
      });
      return outfile;
    };
    const crun = join(folder, 'crun');
    await run({ file: 'cc', args: ['-O2', '-o', crun, join(source, 'crun.c')] });
    const image = join(root, 'dist/images/web.erofs');
    const args = [await bundle('inside'), await bundle('agent'), image, crun];
    const namespaces = ['--mount', '--net', '--pid', '--uts', '--mount-proc'];
    const child = spawn(
      'unshare',
      [...namespaces, '--fork', '--kill-child', process.execPath, ...args],
      {
        env: { ...process.env, ...(await givenByInit(root)) },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let said = '';
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    const [status] = (await once(child, 'close')) as [number | null];
    if (status !== 0) throw new Error(`The measurement ended with status ${status}.`);
    return JSON.parse(said) as Seen;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What PID 1 puts into the environment of an agent, so that malloc gives back what is free. */
async function givenByInit(root: string): Promise<Record<string, string>> {
  const header = await readFile(join(root, 'image/init/init.h'), 'utf8');
  const words = /^#define GIVES_MEMORY_BACK (?<words>.*)$/mu.exec(header)?.groups?.['words'];
  if (words === undefined) throw new Error('PID 1 gives an agent no environment any more.');
  return Object.fromEntries(JSON.parse(`[${words}]`).map((word: string) => word.split('=', 2)));
}
