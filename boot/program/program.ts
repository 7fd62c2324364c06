import { readFileSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { measureNext } from '../../src/attestation/apply.ts';
import { openTpm } from '../../src/host/tpm/device.ts';
import { OWN_PCR } from '../../src/host/tpm/pcr.ts';
import { codeOf, sentenceOf } from '../../src/lib/errors.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { ArtifactError, type BootRecord } from '../../src/artifact/spec.ts';
import { checkCommandLine } from '../../src/artifact/command-line.ts';
import { raiseClock } from '../../src/host/clock.ts';
import { printLine } from '../../src/host/log.ts';
import { type BootConsole, openConsole } from './console.ts';
import { decideOnMachine } from './machine.ts';
import { findMedia } from './media.ts';
import { fetchRelease } from './mirrors.ts';
import { bringUpNetwork } from './network.ts';

/** What PID 1 reads and writes for this program; `/run/zos/boot` lies on a ramfs. */
const FOLDER = '/run/zos/boot';
const MEDIA_PATH = join(FOLDER, 'farm.json');
const ROOT_PATH = '/etc/zos/root.json';
const RELEASE_PATH = '/etc/zos/release.json';
/** The first stage's image lies outside of this program's root, in PID 1's. */
const FIRST_STAGE_PATH = '/proc/1/root/first.erofs';

const releaseSchema = z.object({
  name: z.string(),
  version: z.string(),
  notBefore: z.iso.datetime(),
});

/**
 * The boot program of the first stage: from nothing to a verified `/run/zos/boot/system.erofs`
 * with `grid.json` and `boot.json` beside it. Answers the exit status: 0 when PID 1 may go on.
 */
export async function runBootProgram(): Promise<number> {
  const console = openConsole(printLine, sinceKernelStartMs);
  try {
    await boot(console);
    return 0;
  } catch (error) {
    const artifact = error instanceof ArtifactError ? error.facts['artifact'] : undefined;
    if (typeof artifact === 'string') console.refused({ artifact, error });
    else console.say(`stopped: ${codeOf(error)} ${sentenceOf(error)}`);
    return 1;
  }
}

async function boot(console: BootConsole): Promise<void> {
  const afterMs = sinceKernelStartMs();
  const release = releaseSchema.parse(JSON.parse(await readFile(RELEASE_PATH, 'utf8')));
  const { name, version } = release;
  console.reached('started', `${name} ${version}, ${afterMs} ms after the kernel`);
  const { loader } = checkCommandLine(await readFile('/proc/cmdline', 'utf8'));
  const root = new Uint8Array(await readFile(ROOT_PATH));
  // Expiry is only as good as the clock: it is never before this image was made.
  const nowMs = await raiseClock(Date.parse(release.notBefore));
  console.reached('clock', new Date(nowMs).toISOString());
  const leases = await bringUpNetwork(console);
  const { media, source } = await findMedia({ path: MEDIA_PATH, console, loader, leases });
  console.reached('media', source);
  await mkdir(FOLDER, { recursive: true });
  const { mirrors } = media;
  const fetched = await fetchRelease({
    mirrors,
    root,
    folder: FOLDER,
    firstStagePath: FIRST_STAGE_PATH,
    decide: decideOnMachine({ console, leases, notBeforeMs: Date.parse(release.notBefore) }),
    console,
  });
  if (fetched === undefined) throw new Error('No mirror had a release.');
  console.reached('verified', `system.erofs sha256 ${fetched.systemSha256}`);
  await measureSystem(console, fetched.systemSha256);
  const record: BootRecord = {
    release: `${name} ${version}`,
    stages: [...console.stages],
    refusals: [...console.refusals],
    media: source,
    loader,
    ...fetched,
  };
  // The agent reads both, wherever the farm file came from.
  await writeFile(MEDIA_PATH, JSON.stringify(media));
  const path = join(FOLDER, 'boot.json');
  await writeFile(`${path}.part`, JSON.stringify(record));
  await rename(`${path}.part`, path);
}

/** Before it is handed over to, what is told of it can't be taken back; a TPM is not everywhere. */
async function measureSystem(console: BootConsole, sha256: string): Promise<void> {
  try {
    await using tpm = await openTpm();
    await measureNext(tpm, sha256);
    console.reached('measured', `system.erofs into PCR ${OWN_PCR}`);
  } catch (error) {
    console.say(`not measured: ${codeOf(error)} ${sentenceOf(error)}`);
  }
}

function sinceKernelStartMs(): number {
  const [seconds = '0'] = readFileSync('/proc/uptime', 'utf8').split(' ');
  return Math.round(Number(seconds) * SECOND_MS);
}
