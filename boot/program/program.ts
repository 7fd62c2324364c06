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
import { raiseClock, systemTimeMs } from '../../src/host/clock.ts';
import { AUTOMATIC, type UplinkSettings } from '../../src/uplink/spec.ts';
import { settingsOfMedia } from '../../src/uplink/verify.ts';
import { hardenKernel } from '../../src/host/kernel/hardening.ts';
import { printLine, printScreen } from '../../src/host/log.ts';
import { openScreen } from '../../src/screen/apply.ts';
import { ownAddresses } from '../../src/host/net/ip.ts';
import { type BootConsole, openConsole } from './console.ts';
import { decideOnMachine } from './machine.ts';
import { findNetworkMedia, findOwnMedia, type FoundMedia } from './media.ts';
import { fetchRelease } from './mirrors.ts';
import { bringUpNetwork, closeMachine } from './network.ts';

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
  using _screen = openBootScreen(console);
  try {
    await boot(console);
    return 0;
  } catch (error) {
    const artifact = error instanceof ArtifactError ? error.facts['artifact'] : undefined;
    if (typeof artifact === 'string') console.refused({ artifact, error });
    else console.failed(`${codeOf(error)} ${sentenceOf(error)}`);
    return 1;
  }
}

function openBootScreen(console: BootConsole): Disposable {
  return openScreen({
    tell: printScreen,
    state: () => ({
      ...console.facts(),
      uptimeMs: sinceKernelStartMs(),
      nowMs: systemTimeMs(),
      addresses: ownAddresses(),
      waiting: console.waiting(),
      failure: console.lastFailure(),
      lines: console.lines(),
    }),
  });
}

async function boot(console: BootConsole): Promise<void> {
  const afterMs = sinceKernelStartMs();
  const release = releaseSchema.parse(JSON.parse(await readFile(RELEASE_PATH, 'utf8')));
  const { name, version } = release;
  console.shows({ release: `${name} ${version}` });
  console.reached('started', `${name} ${version}, ${afterMs} ms after the kernel`);
  const { loader } = checkCommandLine(await readFile('/proc/cmdline', 'utf8'));
  const faults = await hardenKernel();
  for (const fault of faults) console.say(`the kernel is not as hard as it should be: ${fault}`);
  if (faults.length === 0) console.reached('kernel-hardened');
  const root = new Uint8Array(await readFile(ROOT_PATH));
  // Expiry is only as good as the clock: it is never before this image was made.
  const nowMs = await raiseClock(Date.parse(release.notBefore));
  console.reached('clock', new Date(nowMs).toISOString());
  await closeMachine(console);
  const own = await findOwnMedia({ path: MEDIA_PATH, console, loader });
  await using network = await bringUpNetwork(console, settingsOf(own, console));
  const { leases } = network;
  const found = own ?? (await findNetworkMedia(console, await leases()));
  const { media, source } = found;
  console.reached('media', source);
  if (own === undefined && media.network !== undefined) {
    await network.use(settingsOf(found, console));
  }
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

/** How to reach out, as the farmer signed it; what is not signed is told, and counts nothing. */
function settingsOf(found: FoundMedia | undefined, console: BootConsole): UplinkSettings {
  if (found === undefined) return AUTOMATIC;
  try {
    return settingsOfMedia(found.media);
  } catch (error) {
    console.refused({ artifact: 'farm.json network', error });
    return AUTOMATIC;
  }
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
