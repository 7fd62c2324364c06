import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../../../src/host/exec.ts';
import { makeTpm, readMakerCertificates } from '../../../src/host/lab/swtpm.ts';
import { openTpm, type Tpm } from '../../../src/host/tpm/device.ts';

const TRIES_MAX = 500;
const PAUSE_MS = 20;

export type TpmLab = AsyncDisposable & {
  /** Another TPM of the same maker, switched on, answering commands. */
  readonly make: () => Promise<Tpm & { readonly path: string }>;
  /** The maker's certificates, PEM. */
  readonly certificates: () => Promise<readonly string[]>;
};

/** Real software TPMs on this machine, gone with the lab. */
export async function openTpmLab(): Promise<TpmLab> {
  const folder = await mkdtemp('/tmp/zos-tpm-');
  const maker = { folder: join(folder, 'maker') };
  const open = new AsyncDisposableStack();
  open.defer(async () => rm(folder, { recursive: true, force: true }));
  let count = 0;
  return {
    make: async () => {
      count += 1;
      const own = join(folder, String(count));
      await makeTpm(own, maker);
      const path = join(own, 'socket');
      const server = ['--server', `type=unixio,path=${path}`];
      const flags = ['--flags', 'not-need-init,startup-clear'];
      const args = ['socket', '--tpm2', '--tpmstate', `dir=${own}`, ...server, ...flags];
      open.use(start({ file: 'swtpm', args }));
      const tpm = open.use(await openWhenUp(path));
      return { ...tpm, path };
    },
    certificates: async () => readMakerCertificates(maker),
    [Symbol.asyncDispose]: async () => open.disposeAsync(),
  };
}

/** The socket's name is there a moment before somebody listens. */
async function openWhenUp(path: string): Promise<Tpm> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await openTpm({ path });
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
      await sleep(PAUSE_MS);
    }
  }
}
