import { readFile } from 'node:fs/promises';
import type { Start } from '../../contract/start.ts';
import { readText } from '../../host/files.ts';
import { type Crash, takeCrash } from '../../host/reset/pstore.ts';
import { goToKernel, readyKernel, restartMachine } from '../../host/reset/restart.ts';
import { hasWatchdogBitten } from '../../host/reset/watchdog.ts';
import { openTpm, TpmError } from '../../host/tpm/device.ts';
import { codeOf } from '../../lib/errors.ts';
import { EXTENDED_PATH, measureNext } from '../../attestation/apply.ts';
import { parseBootRecord } from '../../artifact/spec.ts';
import { type BadMarks, openBadMarks } from './bad-marks.ts';
import { emptyFolder } from './release.ts';
import { addStart, agentReason, bootReason, leaveMark, sentenceOfEnd, takeMark } from './starts.ts';
import type { Supervisor } from './supervisor.ts';
import { followReleases, type MayUpdate, type UpdaterParts } from './updater.ts';

const ROOT_PATH = '/etc/zos/root.json';
const RECORD_BYTES_MAX = 256 * 1024;

export type UpdateWish = Pick<
  UpdaterParts,
  'boot' | 'console' | 'chance' | 'sleep' | 'freeBytes' | 'onTrouble' | 'leave'
> & {
  readonly supervisor: Supervisor;
  /** What lives as long as this boot. */
  readonly agentFolder: string;
  readonly bootFolder: string;
  /** What the data disk keeps of this node, or without one this boot. */
  readonly folder: string;
  /** Of the farmer's policy that this node holds. */
  readonly policyVersion: number;
  readonly nowMs: number;
  readonly sinceKernelStartMs: number;
};

export type Update = {
  /** The starts of this boot with their reasons, this one too. */
  readonly starts: readonly Start[];
  readonly marks: BadMarks;
  /** How the kernel before this one panicked, if it did. */
  readonly crash: Crash | undefined;
  readonly follow: (turns: { readonly mayUpdate: MayUpdate }, signal: AbortSignal) => Promise<void>;
};

/** Finds out why this start is one, and what became of an update before it. */
export async function openUpdate(wish: UpdateWish): Promise<Update> {
  const { boot, supervisor, folder, console } = wish;
  const marks = await openBadMarks(`${folder}/bad-releases.json`);
  const end = await supervisor.lastEnd();
  const back = await supervisor.takeBack();
  const why = await supervisor.takeWhy();
  if (back !== undefined) await markBad(wish, marks, back);
  const isOnTrial = back === undefined && (await supervisor.isOnTrial());
  // What an agent before this one fetched and did not come to use.
  if (!isOnTrial) await emptyFolder(supervisor.otherFolder);
  const crash = end === undefined ? await takeCrash() : undefined;
  const reason = end === undefined ? await bootReasonOf(wish, crash) : agentReason(end, back, why);
  const system = boot.record.systemSha256;
  const atMs = wish.sinceKernelStartMs;
  const what = end === undefined ? 'boot' : 'agent';
  const start: Start = { what, ...reason, system, atMs };
  const starts = await addStart(`${wish.agentFolder}/starts.json`, start);
  console.say(`${what} started because of ${reason.reason}: ${reason.detail}`.replace(/: $/u, ''));
  const root = new Uint8Array(await readFile(ROOT_PATH));
  return {
    starts,
    marks,
    crash,
    follow: async ({ mayUpdate }, signal) => {
      const parts = { ...wish, root, marks, measure, kernel: kernelDoors(wish) };
      await followReleases(parts, mayUpdate, signal);
    },
  };
}

async function bootReasonOf({ folder }: UpdateWish, crash: Crash | undefined) {
  return bootReason({
    panic: crash?.words,
    hasWatchdogBitten: await hasWatchdogBitten(),
    mark: await takeMark(folder),
  });
}

/** PID 1 came back to this system; which one it came from stands in the record that it left. */
async function markBad(wish: UpdateWish, marks: BadMarks, back: string): Promise<void> {
  const { supervisor, console, policyVersion, nowMs: atMs } = wish;
  const path = `${supervisor.otherFolder}/boot.json`;
  const text = await readText(path, RECORD_BYTES_MAX);
  if (text === undefined) return;
  const { systemSha256: sha256 } = parseBootRecord(new TextEncoder().encode(text));
  const reason = sentenceOfEnd(back);
  await marks.add({ what: 'system', sha256, reason, atMs, policyVersion });
  console.say(`update marked system ${sha256} bad: ${reason}`);
}

/** A machine without a TPM has nothing to measure into. */
async function measure(sha256: string): Promise<void> {
  try {
    await using tpm = await openTpm();
    await measureNext(tpm, sha256);
  } catch (error) {
    if (error instanceof TpmError && codeOf(error) === 'TPM_ABSENT') return;
    throw error;
  }
}

function kernelDoors({ folder, bootFolder }: UpdateWish): UpdaterParts['kernel'] {
  return {
    handedOn: { 'farm.json': `${bootFolder}/farm.json`, extended: EXTENDED_PATH },
    commandLine: async () => readFile('/proc/cmdline', 'utf8'),
    ready: readyKernel,
    mark: async (detail) => leaveMark(folder, { reason: 'update', detail }),
    go: goToKernel,
    restart: restartMachine,
  };
}
