import { access, readdir, readFile, rm } from 'node:fs/promises';
import type { ModuleIndex } from '../../lib/modalias.ts';
import { loadModule } from '../modules.ts';
import { isMountPoint, mount } from '../mount.ts';

const PSTORE_PATH = '/sys/fs/pstore';
const LAST_WORDS = /Kernel panic - not syncing: (?<words>.*)/u;

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

/** The last words of the kernel before this one, if it panicked; they are told once. */
export async function takeLastWords(path: string = PSTORE_PATH): Promise<string | undefined> {
  const names: string[] = await readdir(path).catch(() => []);
  let words: string | undefined;
  for (const name of names.filter((each) => each.startsWith('dmesg-')).toSorted()) {
    const text = await readFile(`${path}/${name}`, 'latin1').catch(() => '');
    words ??= wordsOf(text);
    await rm(`${path}/${name}`, { force: true });
  }
  return words;
}

/** Reads one record of pstore; none for an oops that the machine survived. */
export function wordsOf(text: string): string | undefined {
  if (!text.startsWith('Panic#')) return undefined;
  const words = LAST_WORDS.exec(text)?.groups?.['words'] ?? 'the kernel panicked';
  return words.replaceAll(/[^\x20-\x7e]/gu, ' ').trim();
}
