import { existsSync } from 'node:fs';
import { open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { codeOf, ZosError } from '../lib/errors.ts';
import { KiB, SECOND_MS } from '../lib/units.ts';
import { type OpenFile, run } from './exec.ts';
import { readText, readTextNow, withSecretFile } from './files.ts';

/** Where crun keeps what it knows, in memory; a folder for each container. */
export const CRUN_ROOT = '/run/zos/crun';

export class CrunError extends ZosError<'CRUN_FAILED'> {}

export type CrunState = {
  readonly id: string;
  readonly bundle: string;
  /** `created` waits to be started; `stopped` has ended and was not deleted. */
  readonly state: 'created' | 'running' | 'stopped';
  readonly pid: number;
  /** When its first process began, in ticks of 1/100 s since the kernel started. */
  readonly startTicks: number;
  /** What its maker wrote on it. */
  readonly annotations: Readonly<Record<string, string>>;
};

export type CrunWish = {
  readonly id: string;
  readonly signal?: AbortSignal;
  readonly root?: string;
};

/**
 * Makes a container that waits to be started. Its program's outputs go to `output`, which it keeps
 * open when this process ends. Its standard input is an empty pipe and not `/dev/null`: crun gives
 * its three files to the container's user, and the host's own `/dev/null` would be among them.
 */
export async function createContainer(wish: CreateWish): Promise<void> {
  const { id, bundle, output, secretConfig } = wish;
  const log = `${bundle}/crun.log`;
  await rm(log, { force: true });
  const args = ['create', '--bundle', bundle];
  if (secretConfig === undefined) {
    await crun(wish, [...args, id], { output, log });
    return;
  }
  const secret = { folder: SECRET_FOLDER, secret: secretConfig };
  await withSecretFile(secret, async (alsoFile) => {
    await crun(wish, [...args, '--config', '/proc/self/fd/3', id], { output, log, alsoFile });
  });
  await forgetSecrets(wish);
}

export type CreateWish = CrunWish & {
  readonly bundle: string;
  readonly output: OpenFile;
  /**
   * The bundle's `config.json` with secrets in it, wiped here. It reaches crun as a file without a
   * name in memory, and what crun keeps of it is overwritten by the bundle's before a start.
   */
  readonly secretConfig?: Uint8Array;
};

/** On a tmpfs, as `CRUN_ROOT` is. */
const SECRET_FOLDER = '/run/zos/secrets';

async function forgetSecrets({ id, bundle, root = CRUN_ROOT }: CreateWish): Promise<void> {
  const path = `${root}/${id}/config.json`;
  const plain = await readText(`${bundle}/config.json`, CONFIG_BYTES_MAX);
  await writeFile(`${path}.plain`, plain ?? '{}', { mode: 0o600 });
  {
    await using file = await open(path, 'r+');
    const { size } = await file.stat();
    await file.write(new Uint8Array(size), 0, size, 0);
  }
  await rename(`${path}.plain`, path);
}

/** Starts a container that waits to be. */
export async function startContainer(wish: CrunWish): Promise<void> {
  await crun(wish, ['start', wish.id]);
}

/** Ends what still runs, and takes away its cgroup and all that crun knows of it. */
export async function deleteContainer(wish: CrunWish): Promise<void> {
  await crun(wish, ['delete', '--force', wish.id]);
}

const DEADLINE_MS = 20 * SECOND_MS;
const STATUS_BYTES_MAX = 64 * KiB;
const CONFIG_BYTES_MAX = 2048 * KiB;

const statusSchema = z.object({
  pid: z.int(),
  'process-start-time': z.int(),
  bundle: z.string(),
});
const configSchema = z.object({ annotations: z.record(z.string(), z.string()).default({}) });

/**
 * What was seen last, by id. What runs stays as it is until its process ends, and what a container
 * was made with as long as it stands: whoever looks again and again keeps one, and reads less.
 */
export type CrunNotes = Map<string, CrunState>;

/** Every container that crun knows, read from its own files: no process is started. */
export async function listContainers(
  root = CRUN_ROOT,
  notes: CrunNotes = new Map(),
): Promise<CrunState[]> {
  const ids: string[] = await readdir(root).catch(() => []);
  const gone = new Set(notes.keys()).difference(new Set(ids));
  for (const id of gone) notes.delete(id);
  return ids.flatMap((id) => readContainer(id, root, notes) ?? []);
}

/** One container, if crun knows it. */
export function readContainer(
  id: string,
  root = CRUN_ROOT,
  notes: CrunNotes = new Map(),
): CrunState | undefined {
  const note = notes.get(id);
  if (note?.state === 'running' && isThere(note)) return note;
  const status = readTextNow(`${root}/${id}/status`, STATUS_BYTES_MAX);
  // Between two steps of crun's there may be a folder and no status yet, or no longer.
  if (status === undefined) return undefined;
  const { pid, 'process-start-time': startTicks, bundle } = statusSchema.parse(JSON.parse(status));
  const isSameRun = note?.pid === pid && note.startTicks === startTicks;
  const annotations = isSameRun ? note.annotations : readAnnotations(`${root}/${id}/config.json`);
  const known = { id, bundle, pid, startTicks, annotations };
  const isWaiting = existsSync(`${root}/${id}/exec.fifo`);
  const state = !isThere(known) ? 'stopped' : isWaiting ? 'created' : 'running';
  const seen = { ...known, state } as const;
  notes.set(id, seen);
  return seen;
}

function readAnnotations(path: string): CrunState['annotations'] {
  const config = readTextNow(path, CONFIG_BYTES_MAX) ?? '{}';
  return configSchema.parse(JSON.parse(config)).annotations;
}

/** A process id is used again; together with its start time it is not. */
function isThere({ pid, startTicks }: Pick<CrunState, 'pid' | 'startTicks'>): boolean {
  return readProcess(pid)?.startTicks === startTicks;
}

/** What the kernel shows of a process that is there and has not ended. */
export function readProcess(pid: number): { startTicks: number } | undefined {
  const stat = readTextNow(`/proc/${pid}/stat`, STATUS_BYTES_MAX);
  return stat === undefined ? undefined : parseStat(stat);
}

/** Reads `/proc/PID/stat` (proc_pid_stat(5)); none for a process that is dead or a zombie. */
export function parseStat(text: string): { startTicks: number } | undefined {
  // The second field is a name in brackets that may itself hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ', 20);
  const [state = 'X'] = fields;
  const startTicks = Number(fields[19]);
  return 'XZ'.includes(state) || !Number.isInteger(startTicks) ? undefined : { startTicks };
}

async function crun(
  { signal, root = CRUN_ROOT }: CrunWish,
  args: readonly string[],
  to?: { readonly output: OpenFile; readonly log: string; readonly alsoFile?: OpenFile },
): Promise<void> {
  const log = to === undefined ? [] : ['--log', to.log];
  try {
    await run({
      file: 'crun',
      args: ['--root', root, '--cgroup-manager', 'cgroupfs', ...log, ...args],
      deadlineMs: DEADLINE_MS,
      ...(to === undefined ? {} : { stdin: '', outputTo: to.output }),
      ...(to?.alsoFile === undefined ? {} : { alsoFile: to.alsoFile }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (cause) {
    if (to === undefined || codeOf(cause) !== 'TOOL_FAILED') throw cause;
    // Its outputs are the container's, so what it has to say of itself is in its log.
    const said = (await readText(to.log, STATUS_BYTES_MAX)) ?? '';
    const reason = said.trim().split('\n').at(-1) ?? '';
    throw new CrunError('CRUN_FAILED', `crun could not make the container: ${reason}`, { cause });
  }
}
