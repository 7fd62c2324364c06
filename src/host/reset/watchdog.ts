import { readdir, readFile } from 'node:fs/promises';

/** WDIOF_CARDRESET of linux/watchdog.h: the card restarted the machine. */
const CARD_RESET = 0x20;

/** Whether a watchdog of this machine restarted it the last time. */
export async function hasWatchdogBitten(path = '/sys/class/watchdog'): Promise<boolean> {
  const names: string[] = await readdir(path).catch(() => []);
  for (const name of names) {
    const status = await readFile(`${path}/${name}/bootstatus`, 'utf8').catch(() => '0');
    if ((Number(status) & CARD_RESET) !== 0) return true;
  }
  return false;
}
