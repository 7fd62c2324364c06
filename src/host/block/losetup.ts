import { readdir } from 'node:fs/promises';
import { readText } from '../files.ts';
import { run } from '../exec.ts';
import { KiB } from '../../lib/units.ts';

/** A block device made of a file. */
export type Loop = {
  readonly path: string;
  readonly name: string;
  /** The file behind it, as the kernel names it. */
  readonly filePath: string;
};

const PATH_BYTES_MAX = 8 * KiB;

/** Every loop device that has a file, read from sysfs: no process is started. */
export async function listLoops(sysPath = '/sys'): Promise<Loop[]> {
  const names: string[] = await readdir(`${sysPath}/block`);
  const loops = await Promise.all(
    names.map(async (name) => {
      if (!name.startsWith('loop')) return [];
      const path = `${sysPath}/block/${name}/loop/backing_file`;
      // A device that is let go of in this moment has no such file any more.
      const text = await readText(path, PATH_BYTES_MAX).catch(() => undefined);
      const filePath = text?.replace(/\n$/u, '') ?? '';
      return filePath === '' ? [] : [{ path: `/dev/${name}`, name, filePath }];
    }),
  );
  return loops.flat();
}

/** Makes a block device of a file, or finds the one that it has; its pages are cached once only. */
export async function attachLoop(filePath: string, signal?: AbortSignal): Promise<string> {
  const args = ['--find', '--show', '--nooverlap', '--direct-io=on', '--', filePath];
  return (await losetup(args, signal)).trim();
}

/** Tells a device that its file has grown. */
export async function growLoop(path: string, signal?: AbortSignal): Promise<void> {
  await losetup(['--set-capacity', path], signal);
}

/** Takes the device away; the file stays. */
export async function detachLoop(path: string, signal?: AbortSignal): Promise<void> {
  await losetup(['--detach', path], signal);
}

async function losetup(args: readonly string[], signal?: AbortSignal): Promise<string> {
  return run({ file: 'losetup', args, ...(signal === undefined ? {} : { signal }) });
}
