import { appendFile } from 'node:fs/promises';
import type { Tpm } from '../host/tpm/device.ts';
import { extendPcr, OWN_PCR } from '../host/tpm/pcr.ts';

/**
 * Where every extension of PCR 14 is written down, for whoever wants to replay it. Who writes it
 * can make the node's evidence fail, and nothing else: the register decides.
 */
export const EXTENDED_PATH = '/run/zos/boot/extended';

/**
 * Measures what is about to run, a system or a kernel, before it does: from then on until power-off
 * no quote of this TPM can hide it. Throws `TpmError`.
 */
export async function measureNext(
  tpm: Tpm,
  sha256: string,
  path: string = EXTENDED_PATH,
): Promise<void> {
  await extendPcr(tpm, OWN_PCR, sha256);
  await appendFile(path, `${sha256}\n`, { mode: 0o600 });
}
