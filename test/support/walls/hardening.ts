// Part of a script that runs in a guest: the kernel as it starts, when it is told, and told less.
import { readFileSync, writeFileSync } from 'node:fs';
import { run } from '../../../src/host/exec.ts';
import { hardenKernel, readLockdown, readSetting } from '../../../src/host/kernel/hardening.ts';
import { EXCEPTIONS, SETTINGS } from '../../../src/host/kernel/settings.ts';

/** Hardens the kernel as both stages do, and reads back what it has then. */
export async function hardenAndRead(): Promise<unknown> {
  const path = '/sys/kernel/security';
  await run({ file: 'mount', args: ['-t', 'securityfs', 'securityfs', path] });
  const paths = SETTINGS.map((setting) => setting.path);
  const before = await readAll(paths);
  const soft = SETTINGS.filter((setting) => before[setting.path] !== setting.value);
  const first = await hardenKernel();
  const again = await hardenKernel();
  return {
    soft: soft.map((setting) => setting.path),
    again: [...first, ...again],
    weaker: tryWeaker(),
    settings: await readAll(paths),
    exceptions: await readAll(EXCEPTIONS.flatMap(({ is }) => ('path' in is ? [is.path] : []))),
    lockdown: await readLockdown(),
    arguments: readFileSync('/proc/cmdline', 'utf8').trim().split(' '),
  };
}

async function readAll(paths: readonly string[]): Promise<Record<string, string>> {
  const read = async (path: string): Promise<[string, string]> => [path, await readSetting(path)];
  return Object.fromEntries(await Promise.all(paths.map(read)));
}

/** What the kernel lets nobody turn back. */
function tryWeaker(): Record<string, string> {
  const tries = {
    'kernel/yama/ptrace_scope': '0',
    'kernel/unprivileged_bpf_disabled': '0',
    'kernel/usermodehelper/bset': '4294967295 4294967295',
    '/sys/kernel/security/lockdown': 'none',
  };
  const answers = Object.entries(tries).map(([name, value]) => {
    const path = name.startsWith('/') ? name : `/proc/sys/${name}`;
    try {
      writeFileSync(path, value);
      const now = readFileSync(path, 'utf8').trim().split(/\s+/u).join(' ');
      return [name, `done, and is still ${now}`];
    } catch (error) {
      return [name, String((error as NodeJS.ErrnoException).code)];
    }
  });
  return Object.fromEntries(answers) as Record<string, string>;
}
