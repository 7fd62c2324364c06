import { run } from '../exec.ts';
import { listNamespaces, runIp } from '../net/ip.ts';

/** Makes a network namespace with its loopback up; throws `ExecError` when the name is taken. */
export async function addNamespace(netns: string): Promise<void> {
  await runIp([`netns add ${netns}`]);
  await runIp(['link set dev lo up'], { netns });
}

/** Ends every process inside and removes the namespace, with every link in it; none is no error. */
export async function removeNamespace(netns: string): Promise<void> {
  if (!(await listNamespaces()).includes(netns)) return;
  for (const pid of await pidsInside(netns)) endProcess(pid);
  await runIp([`netns delete ${netns}`]);
}

async function pidsInside(netns: string): Promise<number[]> {
  const output = await run({ file: 'ip', args: ['netns', 'pids', netns] });
  return output
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 1);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself between the two looks.
  }
}
