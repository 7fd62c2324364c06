import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeInit } from '../../image/parts/init.ts';

// The second stage's PID 1 as the image has it, as PID 1 of a PID namespace of this kernel, over a
// program of the test's in the place of zos-node. Its power-off ends the namespace, as it should.
const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = `
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
  printf("program:");
  for (int i = 0; i < argc; i++) printf(" %s", argv[i]);
  printf(" |");
  for (char **e = environ; *e; e++) printf(" %s", *e);
  printf(" | parent %d leader %d\\n", getppid(), getsid(0) == getpid());
  fflush(stdout);
  /* An orphan: its parent ends at once, it ends later and is PID 1's to reap. */
  if (fork() == 0) {
    if (fork() == 0) { usleep(100000); _exit(0); }
    _exit(0);
  }
  if (access("/crash", F_OK) == 0) { usleep(300000); raise(SIGKILL); }
  if (access("/end", F_OK) == 0) _exit(7);
  for (;;) pause();
}
`;

let folder: string;
let init: string;
let running: Namespace | undefined;

type Namespace = { child: ChildProcess; lines: string[]; news: EventEmitter };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-init-'));
  init = await makeInit({ root: ROOT, work: folder, stage: 'second' });
  for (const path of ['usr/bin', 'sbin', 'dev'])
    mkdirSync(join(folder, 'tree', path), { recursive: true });
  const source = join(folder, 'program.c');
  writeFileSync(source, PROGRAM);
  const args = ['-static', '-Os', '-o', join(folder, 'tree/usr/bin/zos-node'), source];
  execFileSync('musl-gcc', args);
  execFileSync('cp', [init, join(folder, 'tree/sbin/init')]);
});

afterEach(async () => {
  running?.child.kill('SIGKILL');
  running = undefined;
  for (const name of ['crash', 'end']) rmSync(join(folder, 'tree', name), { force: true });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts PID 1 with a hostile environment and arguments, as a kernel command line could give. */
function start(mark?: string): Namespace {
  if (mark !== undefined) writeFileSync(join(folder, 'tree', mark), '');
  const child = spawn(
    'unshare',
    [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount',
      `--root=${join(folder, 'tree')}`,
      '/sbin/init',
      'boot',
    ],
    {
      env: { PATH: process.env['PATH'], NODE_OPTIONS: '--inspect', LD_PRELOAD: '' },
      stdio: 'pipe',
    },
  );
  const news = new EventEmitter();
  const lines: string[] = [];
  const hear = (part: Buffer): void => {
    lines.push(...part.toString().split('\n').filter(Boolean));
    news.emit('line');
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  running = { child, lines, news };
  return running;
}

async function waitFor({ lines, news }: Namespace, pattern: RegExp, times = 1): Promise<string[]> {
  for (;;) {
    const found = lines.filter((line) => pattern.test(line));
    if (found.length >= times) return found;
    await once(news, 'line');
  }
}

/** The processes of the namespace as the outside sees them: state and name, PID 1 first. */
function processesOf({ child }: Namespace): string[] {
  const pid = execFileSync('pgrep', ['--parent', String(child.pid)])
    .toString()
    .trim();
  const below = execFileSync('pgrep', ['--parent', pid]).toString().trim().split('\n');
  const args = ['-o', 'stat=,comm=', '-p', [pid, ...below].join(',')];
  return execFileSync('ps', args)
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(/\s+/gu, ' '));
}

test('the program gets a constant argument and environment, and is started by PID 1', async () => {
  const [line] = await waitFor(start(), /^program:/u);
  expect(line).toBe(
    'program: /usr/bin/zos-node agent | PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C TZ=UTC' +
      ' MALLOC_MMAP_THRESHOLD_=32768 MALLOC_TRIM_THRESHOLD_=131072 | parent 1 leader 1',
  );
});

test('a program that is killed is started again, later each time', async () => {
  const namespace = start('crash');
  await waitFor(namespace, /^program:/u, 3);
  const told = namespace.lines.filter((line) => /^zos: init (?:agent|starts)/u.test(line));
  expect(told).toEqual([
    'zos: init agent ended: signal 9',
    'zos: init starts it again in 1 s: agent',
    'zos: init agent ended: signal 9',
    'zos: init starts it again in 2 s: agent',
  ]);
});

test('a program that ends by itself is started again, and its status is told', async () => {
  const namespace = start('end');
  await waitFor(namespace, /^program:/u, 2);
  expect(namespace.lines).toContain('zos: init agent ended: status 7');
});

test('orphans are reaped', async () => {
  const namespace = start();
  await waitFor(namespace, /^program:/u);
  // The orphan ends after 0.1 s; the program's own child stays unreaped, which is the program's.
  await sleep(500);
  expect(processesOf(namespace).map((line) => line.split(' ')[1])).toEqual(['init', 'zos-node']);
});

test.for([
  ['SIGTERM', 'powering off', 'SIGINT'],
  ['SIGINT', 'restarting', 'SIGHUP'],
] as const)('%s takes the machine down: %s', async ([signal, word, ending]) => {
  const namespace = start();
  await waitFor(namespace, /^program:/u);
  const pid = execFileSync('pgrep', ['--parent', String(namespace.child.pid)])
    .toString()
    .trim();
  const ended = once(namespace.child, 'exit');
  process.kill(Number(pid), signal);
  // The kernel ends a namespace's PID 1 by this signal when it asks to go down (reboot(2)).
  expect(await ended).toEqual([null, ending]);
  expect(namespace.lines).toContain(`zos: init ${word}`);
});

test('not as PID 1 it loads modules and kernels, and does nothing else', async () => {
  const refused = await collect([]);
  expect(refused).toBe(
    '2 zos: init is no command: init load PATH [PARAMETERS]..., ' +
      'init kexec KERNEL INITRAMFS ARGUMENTS, init arm LINK, init courier\n',
  );
  const missing = await collect(['load', '/no/such.ko.xz']);
  expect(missing).toBe("1 zos: init can't load /no/such.ko.xz: No such file or directory\n");
});

async function collect(args: readonly string[]): Promise<string> {
  const child = spawn(init, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (part: Buffer) => (told += part.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return `${code} ${told}`;
}
