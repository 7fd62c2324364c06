import type { Judgement, BadMark, ReleaseKind } from '../../rollout/spec.ts';
import type { KnownMetadata } from '../../artifact/release/fetch-metadata.ts';
import type { KernelFiles } from '../../host/reset/restart.ts';
import type { AgentConsole } from '../bringup/console.ts';
import type { BootFiles } from '../bringup/boot-files.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { formatBytes, MiB, SECOND_MS } from '../../lib/units.ts';
import type { BadMarks } from './bad-marks.ts';
import {
  emptyFolder,
  fetchKernel,
  fetchSystem,
  handOn,
  lookForRelease,
  type NewestRelease,
  offerSystem,
} from './release.ts';
import { STATUS_SWITCH, type Supervisor } from './supervisor.ts';

/** So often mirrors are asked for a newer release; the answer is 1 KB when there is none. */
const LOOK_MS = 30 * SECOND_MS;
/** While a new system is on trial, or the one before is not let go yet. */
const TRIAL_LOOK_MS = 5 * SECOND_MS;
/** Beside what is fetched: what an agent that starts takes. */
const ROOM_BYTES = 96 * MiB;

type TurnWish = {
  readonly what: ReleaseKind;
  readonly from: string | null;
  readonly to: string;
  readonly bad: readonly BadMark[];
};

/** Whether this node may change now: by its farmer's word, and by its turn in the farm. */
export type MayUpdate = (wish: TurnWish) => Promise<Judgement>;

export type UpdaterParts = {
  readonly boot: BootFiles;
  /** The trusted root.json of the system that runs. */
  readonly root: Uint8Array;
  readonly supervisor: Pick<Supervisor, 'isOnTrial' | 'otherFolder' | 'prepareOther'>;
  readonly marks: BadMarks;
  readonly console: AgentConsole;
  readonly chance: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly freeBytes: () => number;
  readonly onTrouble: (what: string, error: unknown) => void;
  /** Ends the agent with this exit status, and leaves everything that runs as it is. */
  readonly leave: (status: number) => void;
  /** Into the register of the TPM that is ours, before what has this digest is started. */
  readonly measure: (sha256: string) => Promise<void>;
  readonly kernel: KernelDoors;
};

export type KernelDoors = {
  /** What the next first stage finds in its archive, by name: where it lies now. */
  readonly handedOn: Readonly<Record<string, string>>;
  /** What the kernel that runs was started with. */
  readonly commandLine: () => Promise<string>;
  readonly ready: (files: KernelFiles) => Promise<void>;
  /** The machine goes down for an update: said before, since nobody can after. */
  readonly mark: (detail: string) => Promise<void>;
  readonly go: () => void;
  readonly restart: () => void;
};

/**
 * Follows the mirrors for as long as the agent runs: a newer system is fetched beside the one that
 * runs, a newer kernel is made ready, and with the farmer's word and a turn the node goes to it.
 */
export async function followReleases(
  parts: UpdaterParts,
  mayUpdate: MayUpdate,
  signal: AbortSignal,
): Promise<void> {
  const { supervisor, sleep, chance } = parts;
  if (await supervisor.isOnTrial()) {
    while (!signal.aborted && (await supervisor.isOnTrial())) await sleep(TRIAL_LOOK_MS, signal);
    await emptyFolder(supervisor.otherFolder);
  }
  const state: State = { known: { roots: [parts.root] }, staged: undefined, said: '' };
  while (!signal.aborted) {
    let waitMs = LOOK_MS;
    try {
      waitMs = await look({ parts, state, mayUpdate, signal });
    } catch (error) {
      if (signal.aborted) return;
      state.staged = undefined;
      parts.console.say(`update failed: ${codeOf(error)} ${sentenceOf(error)}`);
      await emptyFolder(supervisor.otherFolder);
    }
    await sleep(waitMs * (0.5 + chance() / 2), signal);
  }
}

type State = {
  readonly known: KnownMetadata;
  /** The system that lies fetched and checked in the other folder. */
  staged: string | undefined;
  said: string;
};

type Round = {
  readonly parts: UpdaterParts;
  readonly state: State;
  readonly mayUpdate: MayUpdate;
  readonly signal: AbortSignal;
};

/** One look at the mirrors, and what follows from it; returns when to look again. */
async function look(round: Round): Promise<number> {
  const { parts, state, signal } = round;
  const { record, media } = parts.boot;
  const newest = await lookForRelease({
    mirrors: media.mirrors,
    known: state.known,
    lowest: { versions: record.versions, rootSha256: record.rootSha256 },
    onTrouble: parts.onTrouble,
    signal,
  });
  if (newest === undefined) return LOOK_MS;
  const system = newest.release.target('system.erofs').sha256;
  if (system !== record.systemSha256) return updateSystem(round, newest);
  if (newest.kernel !== record.kernel) return updateKernel(round, newest);
  return LOOK_MS;
}

async function updateSystem(round: Round, newest: NewestRelease): Promise<number> {
  const { parts, state, mayUpdate, signal } = round;
  const { record } = parts.boot;
  const { otherFolder: folder } = parts.supervisor;
  const target = newest.release.target('system.erofs');
  const bad = parts.marks.all();
  const wish = { what: 'system', from: record.systemSha256, to: target.sha256, bad } as const;
  if (state.staged !== target.sha256) {
    // What was bad here is not even fetched again before somebody says so.
    const isBad = bad.some(({ sha256 }) => sha256 === target.sha256);
    const judgement = isBad ? await mayUpdate(wish) : undefined;
    if (judgement?.may === false) return waitFor(round, wish, judgement);
    if (!hasRoom(round, target.lengthBytes)) return LOOK_MS;
    parts.console.say(`update fetches system ${target.sha256}`);
    await fetchSystem({ newest, ...fetching(round, folder), signal }, record);
    state.staged = target.sha256;
    parts.console.say(`update verified system ${target.sha256}`);
  }
  const judgement = await mayUpdate(wish);
  if (!judgement.may) return waitFor(round, wish, judgement);
  await parts.measure(target.sha256);
  await offerSystem(folder);
  await parts.supervisor.prepareOther(signal);
  parts.console.say(`update goes to system ${target.sha256}`);
  parts.leave(STATUS_SWITCH);
  return LOOK_MS;
}

/** A restart ends containers, so here the turn comes first, and what it takes is fetched after. */
async function updateKernel(round: Round, newest: NewestRelease): Promise<number> {
  const { parts, mayUpdate, signal } = round;
  const { record } = parts.boot;
  const { kernel, supervisor, console } = parts;
  const bad = parts.marks.all();
  const wish = { what: 'kernel', from: record.kernel, to: newest.kernel, bad } as const;
  const { release } = newest;
  const vmlinuz = release.target('vmlinuz');
  if (!hasRoom(round, 2 * (vmlinuz.lengthBytes + release.target('initramfs.cpio').lengthBytes)))
    return LOOK_MS;
  const judgement = await mayUpdate(wish);
  if (!judgement.may) return waitFor(round, wish, judgement);
  console.say(`update fetches kernel ${newest.kernel}`);
  const { otherFolder: folder } = supervisor;
  const files = await fetchKernel({ newest, ...fetching(round, folder), signal });
  // Before it is loaded: the list of what was measured goes along in the new kernel's archive.
  await parts.measure(vmlinuz.sha256);
  await parts.measure(release.target('initramfs.cpio').sha256);
  await handOn(files.initramfs, kernel.handedOn);
  const append = argumentsFor(await kernel.commandLine());
  const refusal = await kernel.ready({ ...files, append, signal }).then(
    () => undefined,
    (error: unknown) => sentenceOf(error),
  );
  await emptyFolder(folder);
  await kernel.mark(`to kernel ${newest.kernel.slice(0, 10)}`);
  const how = refusal === undefined ? 'kexec' : `a restart: ${refusal}`;
  console.say(`update goes to kernel ${newest.kernel} by ${how}`);
  if (refusal === undefined) kernel.go();
  else kernel.restart();
  return LOOK_MS;
}

/** The command line of the next kernel: boot loaders' words about files are not for it. */
export function argumentsFor(commandLine: string): string {
  const words = commandLine.trim().split(/\s+/u);
  return words.filter((word) => !/^(?:initrd=|BOOT_IMAGE=|vmlinuz$)/u.test(word)).join(' ');
}

function fetching({ parts }: Round, folder: string) {
  return { folder, mirrors: parts.boot.media.mirrors, onTrouble: parts.onTrouble };
}

function hasRoom(round: Round, neededBytes: number): boolean {
  if (round.parts.freeBytes() >= neededBytes + ROOM_BYTES) return true;
  sayOnce(round, `update waits until ${formatBytes(neededBytes + ROOM_BYTES)} of memory are free`);
  return false;
}

function waitFor(
  round: Round,
  { what, to }: TurnWish,
  judgement: Judgement & { readonly may: false },
): number {
  sayOnce(round, `update waits with ${what} ${to}: ${judgement.because}`);
  return Math.min(judgement.retryMs, LOOK_MS);
}

function sayOnce({ parts, state }: Round, text: string): void {
  if (state.said !== text) parts.console.say(text);
  state.said = text;
}
