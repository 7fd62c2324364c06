import { readFile } from 'node:fs/promises';
import type { BootFacts } from './class.ts';

/** Of the kernel's boot parameters (x86 zero page): what the EFI stub found Secure Boot to be. */
const SECURE_BOOT_AT = 0x1ec;
const SECURE_BOOT_ENABLED = 3;

/** Reads what the kernel knows of Secure Boot, and in which lockdown it is now. */
export async function observeBoot(
  loader: BootFacts['loader'],
  sysPath = '/sys',
): Promise<BootFacts> {
  const none = new Uint8Array();
  const parameters = await readFile(`${sysPath}/kernel/boot_params/data`).catch(() => none);
  const states = await readFile(`${sysPath}/kernel/security/lockdown`, 'utf8').catch(() => '');
  return {
    isSecureBoot: parameters[SECURE_BOOT_AT] === SECURE_BOOT_ENABLED,
    // The one that holds stands in brackets: `none [integrity] confidentiality`.
    lockdown: /\[([a-z]{1,20})\]/u.exec(states)?.[1] ?? 'unknown',
    loader,
  };
}
