import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeInit } from '../../image/parts/init.ts';

// PID 1 with two systems, each an erofs image with another agent, mounted from files as on a node.
// Only the agents are the test's: what they do at their start is said by a file in their image.
const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = 'proc sys dev run tmp var data other sbin usr/bin lib'.split(' ');
const AGENT = `
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void touch(const char *path) {
  close(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  utimensat(AT_FDCWD, path, 0, 0);
}
static void line_of(const char *path, char *line) {
  FILE *file = fopen(path, "r");
  strcpy(line, "-");
  if (file) { if (!fgets(line, 60, file)) strcpy(line, "-"); fclose(file); }
}
int main(void) {
  char name[60], how[60], end[60], back[60], record[60];
  line_of("/name", name); line_of("/how", how); line_of("/run/zos/boot/boot.json", record);
  line_of("/run/zos/agent/end", end); line_of("/run/zos/agent/back", back);
  struct stat data, old;
  int hasData = stat("/data/mark", &data) == 0;
  int hasOther = stat("/run/zos/boot/other/system.erofs", &old) == 0;
  printf("agent %s end=%s back=%s record=%s data=%d other=%d pid1=%d\\n", name, end, back, record,
         hasData, hasOther, getppid());
  fflush(stdout);
  if (strcmp(how, "update") == 0 && back[0] == '-') {
    touch("/run/zos/agent/prepare");
    for (int i = 0; i < 30 && access("/other/how", F_OK) != 0; i++) usleep(100000);
    _exit(64);
  }
  if (strcmp(how, "crash") == 0) _exit(3);
  if (strcmp(how, "hang") == 0) {
    sleep(2);
    touch("/run/zos/agent/alive");
    for (;;) pause();
  }
  touch("/run/zos/agent/healthy");
  for (int i = 0;; i++) {
    touch("/run/zos/agent/alive");
    if (strcmp(how, "fall") == 0 && i == 3) raise(9);
    sleep(1);
  }
}
`;

let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-systems-'));
  const init = await makeInit({ root: ROOT, work: folder, stage: 'second' });
  const source = join(folder, 'agent.c');
  writeFileSync(source, AGENT.replace('#include <stdio.h>', '#include <signal.h>\n$&'));
  const agent = join(folder, 'agent');
  execFileSync('musl-gcc', ['-static', '-Os', '-D_GNU_SOURCE', '-o', agent, source]);
  for (const how of ['update', 'crash', 'hang', 'fall', 'stay']) {
    const tree = join(folder, how);
    for (const path of FOLDERS) mkdirSync(join(tree, path), { recursive: true });
    cpSync(init, join(tree, 'sbin/init'));
    cpSync(agent, join(tree, 'usr/bin/zos-node'));
    writeFileSync(join(tree, 'how'), how);
    writeFileSync(join(tree, 'name'), how === 'update' ? 'old' : 'new');
    execFileSync('mkfs.erofs', ['--quiet', join(folder, `${how}.erofs`), tree]);
  }
});

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

type Machine = { readonly lines: string[]; readonly pid: number };

/** A machine whose old agent at once goes to the new system: what PID 1 and the agents say. */
async function startMachine(
  how: string,
  { older = 'update', newer = `${folder}/${how}.erofs`, first = FIRST } = {},
): Promise<Machine> {
  const work = mkdtempSync(join(folder, 'machine-'));
  // As the first stage leaves it: proc, run and the others below the mounted image, the data disk.
  const script = `set -e; exec 2>&1
    mkdir ${work}/root; cp ${folder}/${older}.erofs ${work}/old.erofs
    mount -t erofs ${work}/old.erofs ${work}/root; cd ${work}/root
    mount -t proc proc proc; mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs dev
    mount -t tmpfs tmpfs tmp; mount -t tmpfs tmpfs var; mount -t tmpfs tmpfs data; echo > data/mark
    mount -t tmpfs tmpfs sys; mkdir -p sys/fs/cgroup run/zos/boot; mknod dev/null c 1 3
    mount -t cgroup2 cgroup2 sys/fs/cgroup; mkdir sys/fs/cgroup/$(basename ${work})
    mkdir sys/fs/cgroup/$(basename ${work})/zos
    mount --bind sys/fs/cgroup/$(basename ${work}) sys/fs/cgroup
    mount -t ramfs ramfs run/zos/boot; mkdir run/zos/boot/other
    echo -n one > run/zos/boot/boot.json; echo -n two > run/zos/boot/other/boot.json
    touch run/zos/boot/grid.json run/zos/boot/other/grid.json run/zos/boot/system.erofs
    cp ${newer} run/zos/boot/other/system.erofs
    sleep 1000 > ${work}/sleep 2>&1 &
    exec chroot . /sbin/init`;
  const args = ['--pid', '--fork', '--kill-child', '--mount', 'sh', '-c', script];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const lines: string[] = [];
  const hear = (part: Buffer): void => {
    lines.push(...part.toString().split('\n').filter(Boolean));
  };
  child.stdout.on('data', hear);
  const machine = { lines, pid: 0 };
  await waitFor(machine, first);
  const pid = Number(execFileSync('pgrep', ['--parent', String(child.pid)]).toString());
  return { lines, pid };
}

async function waitFor({ lines }: Machine, line: string): Promise<void> {
  const deadline = AbortSignal.timeout(280_000);
  while (!lines.includes(line)) {
    if (deadline.aborted) throw new Error(`It did not say: ${line}. It said:\n${lines.join('\n')}`);
    await sleep(50);
  }
}

const FIRST = 'agent old end=- back=- record=one data=1 other=1 pid1=1';
const NEW = 'agent new end=status 64 back=- record=two data=1 other=1 pid1=1';

function backLine(why: string): string {
  return `agent old end=${why} back=${why} record=one data=1 other=0 pid1=1`;
}

/** The images that the machine's PID 1 sees mounted. */
function imagesOf({ pid }: Machine): string[] {
  const text = execFileSync('cat', [`/proc/${pid}/mountinfo`]).toString();
  return text.split('\n').flatMap((line) => (line.includes(' - erofs ') ? [line] : []));
}

test.concurrent('a new system that is well stays, and nothing holds the old one', async () => {
  const machine = await startMachine('stay');
  await waitFor(machine, 'zos: init the new system stays; the old one is let go');
  expect(machine.lines.filter((line) => line.startsWith('agent'))).toEqual([FIRST, NEW]);
  expect(imagesOf(machine)).toHaveLength(1);
  const exe = execFileSync('readlink', [`/proc/${machine.pid}/exe`]).toString();
  expect(exe).toContain('memfd:init');
}, 300_000);

test.concurrent('a new agent that crashes at once: the old one is back at once', async () => {
  const machine = await startMachine('crash');
  await waitFor(machine, backLine('status 3'));
  // A kernel whose version 2 control groups have no memory: that limit has a journey of its own.
  expect(machine.lines.filter((line) => !line.includes('limit memory'))).toEqual([
    FIRST,
    'zos: init tries the new system',
    NEW,
    'zos: init goes back to the old system: status 3',
    backLine('status 3'),
  ]);
  // Whatever is not the agent's own, containers before all, never notices.
  const args = ['--parent', String(machine.pid), '--exact', 'sleep'];
  expect(execFileSync('pgrep', args).toString()).toMatch(/^\d+\n$/u);
  expect(imagesOf(machine)).toHaveLength(1);
});

test.concurrent('a new agent that does nothing is ended, and the old one is back', async () => {
  const machine = await startMachine('hang');
  await waitFor(machine, backLine('unhealthy 40'));
  expect(machine.lines).toContain('zos: init goes back to the old system: unhealthy 40');
});

test.concurrent('a new agent that falls soon after it was well: the old one is back', async () => {
  const machine = await startMachine('fall');
  await waitFor(machine, backLine('signal 9'));
  expect(machine.lines).toContain('zos: init the new system is well');
});

test.concurrent('an agent that does not get on with its work is started anew', async () => {
  const first = 'agent new end=- back=- record=one data=1 other=1 pid1=1';
  const machine = await startMachine('hang', { older: 'hang', first });
  await waitFor(machine, 'zos: init agent ended: hung');
  await waitFor(machine, first.replace('end=-', 'end=hung'));
  expect(machine.lines.some((line) => line.includes('tries the new system'))).toBe(false);
}, 300_000);

test.concurrent('a new system that is no image is not gone to', async () => {
  const path = join(folder, 'broken.erofs');
  writeFileSync(path, Buffer.alloc(8192));
  const machine = await startMachine('broken', { newer: path });
  await waitFor(
    machine,
    'agent old end=status 64 back=unmountable record=one data=1 other=1 pid1=1',
  );
  expect(machine.lines.some((line) => line.startsWith('agent new'))).toBe(false);
});
