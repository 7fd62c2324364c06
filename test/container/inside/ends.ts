// Runs in namespaces of its own; see `runInside`. Two processes in cgroups as of containers: one
// ends, is started anew in a cgroup of the same name, and ends once more.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEndWatch } from '../../../src/container/observe-ends.ts';
import { CGROUP_ROOT } from '../../../src/container/observe.ts';
import type { ContainerHave } from '../../../src/container/plan.ts';
import { run } from '../../../src/host/exec.ts';

await run({ file: 'mount', args: ['-t', 'tmpfs', 'none', '/sys/fs/cgroup'] });
await run({ file: 'mount', args: ['-t', 'cgroup2', 'none', '/sys/fs/cgroup'] });
// The machine's own, on which others may be at work: what is made here is taken away again.
const place = `${CGROUP_ROOT}/ends-${process.ppid}-`;

function start(name: string) {
  const id = `ends-${process.ppid}-${name}`;
  mkdirSync(`${place}${name}`, { recursive: true });
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  writeFileSync(`${place}${name}/cgroup.procs`, String(pid));
  const have: Partial<ContainerHave> = { id, state: 'running', pid, startTicks: pid };
  return { child, have: have as ContainerHave };
}

let told = 0;
let hear = (): void => undefined;
const watch = openEndWatch();
watch.listen(() => {
  told += 1;
  hear();
});
async function end({ child }: ReturnType<typeof start>): Promise<void> {
  const heard = new Promise<void>((resolve) => (hear = resolve));
  child.kill('SIGKILL');
  await heard;
}

const [one, other] = [start('one'), start('other')];
watch.follow([one.have, other.have]);
await end(one);
watch.follow([other.have]);
rmdirSync(`${place}one`);
const again = start('one');
watch.follow([again.have, other.have]);
await end(again);
watch.follow([{ ...again.have, id: 'gone', state: 'running' }]);
const heard = told;
other.child.kill('SIGKILL');
await once(other.child, 'exit');
await sleep(100);
for (const name of ['one', 'other']) rmdirSync(`${place}${name}`);
watch.follow([]);
console.log(JSON.stringify({ hasHeard: heard >= 2, ofOthers: told - heard }));
