import { mkdir, readFile } from 'node:fs/promises';
import { run } from './exec.ts';

/** A mounted file system, as `/proc/self/mountinfo` has it (proc_pid_mountinfo(5)). */
export type Mount = {
  readonly path: string;
  readonly type: string;
  /** What is mounted: a device, or any word. */
  readonly source: string;
  /** Of this mount: `ro`, `nodev`. */
  readonly options: readonly string[];
  /** Of the file system, wherever it is mounted: `ro` where the kernel found errors on it. */
  readonly systemOptions: readonly string[];
};

export type MountWish = {
  readonly type: string;
  readonly source: string;
  /** Made when it is not there. */
  readonly path: string;
  readonly options: readonly string[];
  readonly signal?: AbortSignal;
};

/** Everything that is mounted, in the order it was; or what is mounted in one folder. */
export async function listMounts(folder = ''): Promise<Mount[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  if (folder === '') return parseMountinfo(text);
  // A line of each container is gone through again and again; most are of no use to who asks.
  const lines = text.split('\n').filter((line) => line.includes(` ${folder}/`));
  return parseMountinfo(lines.join('\n')).filter(({ path }) => path.startsWith(`${folder}/`));
}

/** Whether something is mounted at exactly this path. */
export async function isMountPoint(path: string): Promise<boolean> {
  return (await listMounts()).some((mount) => mount.path === path);
}

/** Mounts one file system. */
export async function mount({ type, source, path, options, signal }: MountWish): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 });
  await run({
    file: 'mount',
    args: ['--no-mtab', '--types', type, '--options', options.join(','), '--', source, path],
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Takes a mount out of sight now, whoever uses it; it goes when the last of them does. */
export async function detach(path: string): Promise<void> {
  await run({ file: 'umount', args: ['--no-mtab', '--lazy', '--', path] });
}

/** Takes down what is mounted at a path; an error when it is in use. */
export async function unmount(path: string, signal?: AbortSignal): Promise<void> {
  await run({
    file: 'umount',
    args: ['--no-mtab', '--', path],
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Reads the kernel's list of mounts. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , , path, options] = before.split(' ');
    const [type, source, systemOptions = ''] = after.split(' ');
    if (path === undefined || options === undefined || type === undefined) return [];
    return [
      {
        path: unescapeOctal(path),
        type,
        source: unescapeOctal(source ?? ''),
        options: options.split(','),
        systemOptions: systemOptions.split(','),
      },
    ];
  });
}

/** Space, tab, newline and backslash are written as `\040` and so on. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/gu, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
