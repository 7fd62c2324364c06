import { readFile, writeFile } from 'node:fs/promises';
import { sentenceOf } from '../../lib/errors.ts';
import { LOCKDOWN, SETTINGS } from './settings.ts';

const SYSCTL_FOLDER = '/proc/sys';
const LOCKDOWN_PATH = '/sys/kernel/security/lockdown';

/**
 * Sets what is not set yet, and reads all of it back. Answers what the kernel has otherwise, as
 * sentences; none when everything is as the table has it.
 */
export async function hardenKernel(): Promise<string[]> {
  const faults = await Promise.all(
    SETTINGS.map(async ({ path, value }) => {
      try {
        if ((await readSetting(path)) === value) return [];
        await writeFile(`${SYSCTL_FOLDER}/${path}`, `${value}\n`);
        const now = await readSetting(path);
        return now === value ? [] : [`${path} is "${now}" and not "${value}"`];
      } catch (error) {
        return [`${path}: ${sentenceOf(error)}`];
      }
    }),
  );
  return [...faults.flat(), ...(await lockDown())];
}

/** The value of a setting, as the kernel tells it, its parts a space apart. */
export async function readSetting(path: string): Promise<string> {
  const text = await readFile(`${SYSCTL_FOLDER}/${path}`, 'utf8');
  return text.trim().split(/\s+/u).join(' ');
}

/** The lockdown that the kernel is in, out of all there are: `none [integrity] ...`. */
export async function readLockdown(): Promise<string | undefined> {
  return /\[([a-z]+)\]/u.exec(await readFile(LOCKDOWN_PATH, 'utf8'))?.[1];
}

/** It only ever gets stricter. */
async function lockDown(): Promise<string[]> {
  try {
    if ((await readLockdown()) !== LOCKDOWN) await writeFile(LOCKDOWN_PATH, LOCKDOWN);
    return (await readLockdown()) === LOCKDOWN ? [] : [`the lockdown is not ${LOCKDOWN}`];
  } catch (error) {
    return [`lockdown: ${sentenceOf(error)}`];
  }
}
