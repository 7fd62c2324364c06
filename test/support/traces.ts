import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { run } from '../../src/host/exec.ts';

/** What of a grid can be seen from outside of it, by name. */
export type Traces = {
  readonly namespaces: readonly string[];
  readonly links: readonly string[];
  readonly mounts: readonly string[];
  readonly files: readonly string[];
};

/** Every trace of ours on this machine. */
export async function findTraces(root: string): Promise<Traces> {
  const links = JSON.parse(await run({ file: 'ip', args: ['-json', 'link', 'show'] })) as {
    ifname: string;
  }[];
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return {
    namespaces: names('/run/netns'),
    links: links.map(({ ifname }) => ifname).toSorted(),
    mounts: mounts.map((line) => line.split(' ')[4] ?? '').toSorted(),
    files: [
      ...names(tmpdir()).filter((name) => name.startsWith('zos-')),
      ...names('/run/zos-lab'),
      ...names(`${root}/dist`).filter((name) => name === 'run' || name.endsWith('.lock')),
    ],
  };
}

/** What is there now and was not before; what others took away meanwhile is no trace. */
export function newTraces(before: Traces, now: Traces): Traces {
  const added = (kind: keyof Traces): string[] => {
    const left = [...before[kind]];
    return now[kind].filter((name) => {
      const at = left.indexOf(name);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  return {
    namespaces: added('namespaces'),
    links: added('links'),
    mounts: added('mounts'),
    files: added('files'),
  };
}

/** The processes of a session (setsid(2)), by their command lines. */
export function processesOf(session: number): string[] {
  return names('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((id) => {
      try {
        const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (Number(fields[3]) !== session) return [];
        return [readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()];
      } catch {
        return [];
      }
    });
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}
