import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { confinementHeader } from '../node/confinement.ts';
import type { Stage } from '../files.ts';

const FLAGS = (
  '-static -std=c17 -Os -D_GNU_SOURCE -Wall -Wextra -Werror -ffunction-sections -fdata-sections ' +
  '-fno-asynchronous-unwind-tables -Wl,--gc-sections -Wl,--build-id=none -s'
).split(' ');
const SHARED = ['console', 'files', 'module', 'mount', 'supervise'];
const OF_STAGE: Readonly<Record<Stage, readonly string[]>> = {
  first: [],
  second: ['agent', 'confine/filter', 'confine/courier', 'system'],
};

/** Compiles a stage's PID 1 from the sources in `init/`: static, against musl, some 30 KB. */
export async function makeInit(wish: {
  readonly root: string;
  readonly work: string;
  readonly stage: Stage;
}): Promise<string> {
  const output = join(wish.work, `init-${wish.stage}`);
  const sources = [wish.stage, ...SHARED, ...OF_STAGE[wish.stage]].map((name) => `${name}.c`);
  await writeFile(join(wish.work, 'confinement.h'), confinementHeader());
  const args = [...FLAGS, '-I', '.', '-I', wish.work, '-o', output, ...sources];
  const cwd = join(wish.root, 'image/init');
  await run({ file: 'musl-gcc', args, cwd, deadlineMs: MINUTE_MS });
  return output;
}
