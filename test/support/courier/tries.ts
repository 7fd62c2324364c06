// Part of a script that runs in a guest; see `runInGuest`.
import { startConfined } from '../../../src/host/courier/keep.ts';
import { run, startWithSocket } from '../../../src/host/exec.ts';

const PROGRAM = '/usr/bin/zos-node';
const TRIES = '/tmp/tries';

/** What `tries.c` told in the place of the courier, and of the agent, and how it ended. */
export async function tryConfinements() {
  await run({ file: 'mount', args: ['--bind', TRIES, PROGRAM] });
  try {
    return { courier: await tryAsCourier(), agent: await tryAsAgent() };
  } finally {
    await run({ file: 'umount', args: [PROGRAM] });
  }
}

async function tryAsCourier(): Promise<readonly string[]> {
  const lines: string[] = [];
  const courier = startConfined((line) => void lines.push(line));
  const { exitCode, signal } = await courier.ended;
  return [...lines, `ended: ${signal ?? exitCode}`];
}

/** PID 1 starts it, and starts it again; what the first one said is enough. */
async function tryAsAgent(): Promise<readonly string[]> {
  const lines: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const machine = startWithSocket({
    file: TRIES,
    args: ['init', '/sbin/init'],
    onLine: (line) => {
      lines.push(line);
      if (line.includes('agent ended')) resolve();
    },
  });
  await Promise.race([promise, machine.ended]);
  await machine.stop();
  return lines;
}
