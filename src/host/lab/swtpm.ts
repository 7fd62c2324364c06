import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ZosError } from '../../lib/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import { run, type Running, start } from '../exec.ts';

export class SwtpmError extends ZosError<'TPM_SILENT'> {}

const READY_DEADLINE_MS = 10 * SECOND_MS;
const PAUSE_MS = 20;

/** A maker of TPMs, who certifies the endorsement key of each: a folder with keys of its own. */
export type TpmMaker = {
  readonly folder: string;
};

/**
 * Makes a TPM 2.0 with SHA-256 registers in an empty folder, with endorsement keys that its maker
 * certifies (TCG EK Credential Profile). The folder is the TPM: it keeps all that it remembers.
 * Throws `ExecError`.
 */
export async function makeTpm(folder: string, maker: TpmMaker): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await mkdir(maker.folder, { recursive: true, mode: 0o700 });
  const config = join(maker.folder, 'setup.conf');
  const authority = join(maker.folder, 'authority.conf');
  const options = join(maker.folder, 'authority.options');
  await writeFile(
    authority,
    linesOf({
      statedir: maker.folder,
      signingkey: join(maker.folder, 'signkey.pem'),
      issuercert: join(maker.folder, 'issuercert.pem'),
      certserial: join(maker.folder, 'certserial'),
    }),
  );
  await writeFile(options, '--platform-manufacturer Zero-OS\n--platform-version 1\n');
  await writeFile(
    config,
    linesOf({
      create_certs_tool: '/usr/bin/swtpm_localca',
      create_certs_tool_config: authority,
      create_certs_tool_options: options,
      active_pcr_banks: 'sha256',
    }),
  );
  const what = ['--tpm2', '--create-ek-cert', '--pcr-banks', 'sha256', '--overwrite'];
  const args = [...what, '--tpmstate', folder, '--config', config];
  await run({ file: 'swtpm_setup', args, deadlineMs: MINUTE_MS });
}

/** The certificates, PEM, that the endorsement certificates of a maker's TPMs lead to. */
export async function readMakerCertificates({ folder }: TpmMaker): Promise<string[]> {
  const names = ['issuercert.pem', 'swtpm-localca-rootca-cert.pem'];
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
}

/**
 * Powers a TPM for one machine, which it ends with; answers when it listens. Throws `SwtpmError`.
 */
export async function startTpm(folder: string, socketPath: string): Promise<Running> {
  await rm(socketPath, { force: true });
  const control = `type=unixio,path=${socketPath}`;
  const flags = ['--flags', 'startup-clear', '--terminate'];
  const args = ['socket', '--tpm2', '--tpmstate', `dir=${folder}`, '--ctrl', control, ...flags];
  const tpm = start({ file: 'swtpm', args });
  const deadline = AbortSignal.timeout(READY_DEADLINE_MS);
  let hasEnded = false;
  void tpm.ended.then(() => (hasEnded = true));
  while (!(await isThere(socketPath))) {
    if (hasEnded || deadline.aborted) {
      await tpm.stop();
      throw new SwtpmError('TPM_SILENT', `The TPM in ${folder} does not start; is it in use?`);
    }
    await sleep(PAUSE_MS);
  }
  return tpm;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function linesOf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('');
}
