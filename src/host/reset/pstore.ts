import { access, readdir, readFile, rm } from 'node:fs/promises';
import type { ModuleIndex } from '../../lib/modalias.ts';
import { KiB } from '../../lib/units.ts';
import { loadModule } from '../modules.ts';
import { isMountPoint, mount } from '../mount.ts';

const PSTORE_PATH = '/sys/fs/pstore';
const LAST_WORDS = /Kernel panic - not syncing: (?<words>.*)/u;
/** `Panic#1 Part2`: the second newest part of what the kernel had to say. */
const HEADING = /^Panic#\d+ Part(?<part>\d+)\n/u;
/** The newest end of a kernel's log that is kept of it. */
export const CRASH_LOG_MAX = 48 * KiB;

/**
 * From now on a panic leaves its last words in the firmware: by ACPI's Error Record Serialization
 * Table, which the kernel drives by itself, or else in a variable of UEFI.
 */
export async function keepLastWords(index: ModuleIndex, signal?: AbortSignal): Promise<void> {
  const isUefi = await access('/sys/firmware/efi').then(
    () => true,
    () => false,
  );
  const abort = signal === undefined ? {} : { signal };
  if (isUefi) {
    await loadModule(index, { name: 'efi_pstore', parameters: 'pstore_disable=N', ...abort });
  }
  if (await isMountPoint(PSTORE_PATH)) return;
  const options = ['nosuid', 'nodev', 'noexec'];
  await mount({ type: 'pstore', source: 'pstore', path: PSTORE_PATH, options, ...abort });
}

/** How a kernel panicked. */
export type Crash = {
  /** What it panicked about. */
  readonly words: string;
  /** The end of its log, as far as the firmware had room for it. */
  readonly log: string;
};

/** The end of the kernel before this one, if it panicked; it is told once. */
export async function takeCrash(path: string = PSTORE_PATH): Promise<Crash | undefined> {
  const names: string[] = await readdir(path).catch(() => []);
  const records: string[] = [];
  for (const name of names.filter((each) => each.startsWith('dmesg-'))) {
    records.push(await readFile(`${path}/${name}`, 'latin1').catch(() => ''));
    await rm(`${path}/${name}`, { force: true });
  }
  return crashOf(records);
}

/** Puts a panic's records together, whatever their order; none for an oops that was survived. */
export function crashOf(records: readonly string[]): Crash | undefined {
  const parts = records.flatMap((text) => {
    const heading = HEADING.exec(text);
    const part = Number(heading?.groups?.['part'] ?? Number.NaN);
    return heading === null ? [] : [{ part, text: text.slice(heading[0].length) }];
  });
  if (parts.length === 0) return undefined;
  const whole = parts.toSorted((a, b) => b.part - a.part).map(({ text }) => text);
  const log = whole
    .join('')
    .replaceAll(/[^\x20-\x7e\n]/gu, ' ')
    .slice(-CRASH_LOG_MAX);
  return { words: (LAST_WORDS.exec(log)?.groups?.['words'] ?? 'the kernel panicked').trim(), log };
}
