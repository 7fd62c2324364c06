import { type FSWatcher, watch } from 'node:fs';
import { CGROUP_ROOT } from './observe.ts';
import type { ContainerHave } from './plan.ts';

/** Hears when containers end, as soon as they do. */
export type EndWatch = {
  /** Whom to tell. */
  readonly listen: (onEnd: () => void) => void;
  /** Listens to the containers that run now, and to no others any more. */
  readonly follow: (containers: Iterable<ContainerHave>) => void;
};

/**
 * The kernel tells it by `cgroup.events` when nothing runs in a cgroup any more (cgroup-v2.rst,
 * "[Un]populated Notification"). Where it can't be asked to, the next look sees the end.
 */
export function openEndWatch(): EndWatch {
  const watchers = new Map<string, FSWatcher>();
  let tell = (): void => undefined;
  const drop = (run: string): void => {
    watchers.get(run)?.close();
    watchers.delete(run);
  };
  const open = (run: string, id: string): void => {
    try {
      const watcher = watch(`${CGROUP_ROOT}/${id}/cgroup.events`, { persistent: false });
      watcher.on('change', () => tell());
      watcher.on('error', () => drop(run));
      watchers.set(run, watcher);
    } catch {
      // It ended since, or the kernel watches enough already.
    }
  };
  return {
    listen: (onEnd) => {
      tell = onEnd;
    },
    follow: (containers) => {
      const running = new Map<string, string>();
      for (const { id, state, pid, startTicks } of containers) {
        if (state === 'running') running.set(`${id} ${pid} ${startTicks}`, id);
      }
      for (const run of watchers.keys()) if (!running.has(run)) drop(run);
      for (const [run, id] of running) if (!watchers.has(run)) open(run, id);
    },
  };
}
