import { readdir, readFile, writeFile } from 'node:fs/promises';
import { filesOf, type ModuleIndex, modulesFor } from '../lib/modalias.ts';
import { SECOND_MS } from '../lib/units.ts';
import { run } from './exec.ts';

/** Where the image keeps the list of its modules; see `image/modules.ts`. */
export const MODULE_INDEX_PATH = '/usr/lib/modules/index.json';

/** `1` when the kernel takes no more modules until the machine starts anew. */
const CLOSED_PATH = '/proc/sys/kernel/modules_disabled';

const LOADER = '/sbin/init';
const DEADLINE_MS = 60 * SECOND_MS;
/** A bus may appear when its controller's driver is loaded: PCI, then virtio on it, then SCSI. */
const PASSES_MAX = 4;

export type ModulesLoaded = {
  /** Files that went in, in order. */
  readonly loaded: readonly string[];
  /** Files that the kernel refused; the machine works on without them. */
  readonly failed: readonly string[];
};

/** Reads which modules the image has and what they drive. */
export async function readModuleIndex(path: string = MODULE_INDEX_PATH): Promise<ModuleIndex> {
  // The image is verified before it is mounted, so what is in it is trusted as it stands.
  return JSON.parse(await readFile(path, 'utf8')) as ModuleIndex;
}

/** Loads modules by name with what they need, skipping those that are in; one process for all. */
export async function loadModules(
  index: ModuleIndex,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<ModulesLoaded> {
  return loadFiles(filesOf(index, names), signal);
}

/** Loads one module with parameters, after what it needs; nothing when it is in already. */
export async function loadModule(
  index: ModuleIndex,
  wish: { readonly name: string; readonly parameters: string; readonly signal?: AbortSignal },
): Promise<void> {
  const files = filesOf(index, [wish.name]);
  const own = files.at(-1);
  if (own === undefined || (await loadedNames()).has(moduleNameOf(own))) return;
  await loadFiles(files.slice(0, -1), wish.signal);
  await run({
    file: LOADER,
    args: ['load', own, wish.parameters],
    deadlineMs: DEADLINE_MS,
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
}

/** From now on the kernel takes no more modules, whoever asks, until the machine starts anew. */
export async function closeModules(): Promise<void> {
  await writeFile(CLOSED_PATH, '1');
}

/** Whether the kernel takes no more. */
export async function areModulesClosed(): Promise<boolean> {
  return (await readFile(CLOSED_PATH, 'utf8').catch(() => '')).trim() === '1';
}

/** Loads what drives the devices that are there, until no new device appears. */
export async function loadModulesForDevices(
  index: ModuleIndex,
  signal?: AbortSignal,
): Promise<ModulesLoaded> {
  const tried = new Set<string>();
  const all = { loaded: [] as string[], failed: [] as string[] };
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const aliases = await presentModaliases();
    const files = new Set(aliases.flatMap((alias) => modulesFor(index, alias)));
    const fresh = [...files].filter((file) => !tried.has(file));
    if (fresh.length === 0) break;
    for (const file of fresh) tried.add(file);
    const { loaded, failed } = await loadFiles(fresh, signal);
    all.loaded.push(...loaded);
    all.failed.push(...failed);
    if (loaded.length === 0) break;
  }
  return all;
}

/** The modalias of every device on every bus, each once. */
export async function presentModaliases(sysPath = '/sys'): Promise<string[]> {
  const buses = await readdir(`${sysPath}/bus`).catch(() => []);
  const perBus = await Promise.all(
    buses.map((bus) => modaliasesOf(`${sysPath}/bus/${bus}/devices`)),
  );
  return [...new Set(perBus.flat())].toSorted();
}

async function modaliasesOf(folder: string): Promise<string[]> {
  const devices = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    devices.map((device) => readFile(`${folder}/${device}/modalias`, 'utf8').catch(() => '')),
  );
  return texts.map((text) => text.trim()).filter((text) => text !== '');
}

async function loadFiles(
  files: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ModulesLoaded> {
  const before = await loadedNames();
  const wanted = files.filter((file) => !before.has(moduleNameOf(file)));
  if (wanted.length === 0) return { loaded: [], failed: [] };
  if (await areModulesClosed()) return { loaded: [], failed: wanted };
  // One that fails is no reason to stop: the loader says so on the console and goes on.
  const failure = await run({
    file: LOADER,
    args: ['load', ...wanted],
    deadlineMs: DEADLINE_MS,
    ...(signal === undefined ? {} : { signal }),
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  const after = await loadedNames();
  const isIn = (file: string): boolean => after.has(moduleNameOf(file));
  const loaded = wanted.filter(isIn);
  if (failure !== undefined && loaded.length === 0) throw failure;
  return { loaded, failed: wanted.filter((file) => !isIn(file)) };
}

async function loadedNames(): Promise<ReadonlySet<string>> {
  const text = await readFile('/proc/modules', 'utf8').catch(() => '');
  return new Set(text.split('\n').map((line) => line.split(' ')[0] ?? ''));
}

/** A module's name is its file's, with every `-` a `_`. */
function moduleNameOf(path: string): string {
  return (path.split('/').at(-1)?.split('.')[0] ?? '').replaceAll('-', '_');
}
