import { opensWith } from '../contract/checks/body.ts';
import type { ContractStore } from '../contract/store.ts';
import type { CarriedCancellation } from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import type { Log } from '../host/log.ts';
import { processorMs } from '../host/usage/process.ts';
import { formatDuration, HOUR_MS, MINUTE_MS, SECOND_MS } from '../lib/units.ts';
import type { NodeBody } from '../sdk/index.ts';
import type { VolumeDisk } from '../volume/plan.ts';
import type { AgentConsole } from './bringup/console.ts';
import type { Directory, Patience } from './bringup/directory.ts';
import type { Self } from './bringup/identity.ts';
import {
  type ClockParts,
  type Joined,
  meetDirectory,
  register,
  syncClock,
} from './bringup/registration.ts';
import { openWaits, type Waits } from './explain/waits.ts';
import type { OfferHolder } from './capacity/offer.ts';
import { askByTerms, type TermsHolder } from './capacity/terms.ts';
import { type CrashStore, sendCrash } from './health/crash.ts';
import { type Power, type PowerDoors, powerOf } from './health/power.ts';
import type { Progress } from './health/progress.ts';
import type { Troubles } from './health/troubles.ts';
import { type FenceHolder, openFence } from './disks/fence.ts';
import { type Holdings, openHoldings } from './holdings.ts';
import { type ImagesParts, openImages } from './images.ts';
import type { Drivers } from './loop/observation.ts';
import type { HomeHolder } from './identity/home.ts';
import { type Loop, openLoop } from './loop/reconcile.ts';
import { feedOf, openMetersOf, openWatchOf, turnsOf } from './online/doors.ts';
import { openAnswers } from './online/answers.ts';
import { groundOf, openTrust, ownOf, type Trust } from './online/ground.ts';
import { reportParts, statements, tellers } from './online/telling.ts';
import { pickUp } from './pickup.ts';
import type { QuestionParts } from './questions.ts';
import { type Follower, openFollower } from './record/follower.ts';
import { keepReading } from './record/letters.ts';
import type { WatchParts } from './record/watch.ts';
import { openReporter, type Reporter, type ReportParts } from './report.ts';
import type { PolicyHolder } from './turns/policy.ts';
import type { Turns } from './turns/turns.ts';
import { volumesGround } from './volumes/wishes.ts';
import { openWishes } from './wishes.ts';

const STEP_MS_MAX = 2 * MINUTE_MS;
/** So long a start waits for the directory's first answer to a sign of life. */
const HEARD_MS_MAX = 20 * SECOND_MS;

/** Everything that the agent needs of the machine and of the grid, brought up. */
export type AgentParts = {
  readonly grid: string;
  readonly self: Self;
  /** Whose node this is. */
  readonly home: HomeHolder;
  /** What the node offers, and what its farmer asks for that. */
  readonly offer: OfferHolder;
  readonly terms: TermsHolder;
  readonly registration: Omit<NodeBody, 'offer'>;
  readonly directory: Directory;
  /** The directory's id out of the signed release. */
  readonly directoryId: string;
  readonly store: ContractStore;
  /** Where what contracts used is kept. */
  readonly metersPath: string;
  /** Whose record has to hold every contract, and what this node remembers of it. */
  readonly record: Pick<WatchParts, 'policy' | 'store'>;
  /** How the farmer wants this node updated. */
  readonly policy: PolicyHolder;
  /** The directory took this node's sign of life. */
  readonly onAcknowledged: () => Promise<void>;
  /** Looks for newer releases until the signal fires, and changes to one in this node's turn. */
  readonly keepUpToDate: (turns: Turns, signal: AbortSignal) => Promise<void>;
  readonly drivers: Drivers;
  /** The data disks that volumes may lie on, as they are now. */
  readonly volumeDisks: () => readonly VolumeDisk[];
  readonly lookAgainMs: number;
  readonly images: Pick<ImagesParts, 'hasImage' | 'fetchImage'>;
  readonly readLogTail: (id: string) => Promise<Uint8Array>;
  readonly attest: QuestionParts['attest'];
  /** Answers the directory's challenges; `held` is what contracts have of the node. */
  readonly openMeasure: (held: Holdings['held']) => QuestionParts['measure'];
  readonly nextSeq: (nowMs: number) => Promise<number>;
  readonly life: ReportParts['life'];
  /** What is wrong with this node, told with its signs of life. */
  readonly troubles: Troubles;
  /** How the machine sleeps, and wakes others. */
  readonly power: PowerDoors;
  /** How the kernel before this one panicked, until the farmer has it. */
  readonly crashes: CrashStore;
  /** Whether the loop gets on: the machine's watchdog hangs on it. */
  readonly progress: Progress;
  /** Writes down which release this boot took, on disk and TPM, once the directory knows us. */
  readonly keepFloor: () => Promise<void>;
  /** The kernel's name for this start of the machine. */
  readonly bootId: string;
  /** Does what the farmer signed for the node's disks. */
  readonly takeConsents: (wants: Wants) => Promise<void>;
  /** The node's own addresses, at which peers may try its tunnels. */
  readonly addresses: () => readonly string[];
  readonly clock: Pick<ClockParts, 'clock' | 'nonce' | 'setClock'> & {
    /** Milliseconds since some moment; setting the clock does not move it. */
    readonly steady: () => number;
    /** Whether it was set in this boot already, by the agent before. */
    readonly isSynced: boolean;
    readonly onSynced: () => Promise<void>;
  };
  readonly console: AgentConsole;
  readonly log: Log;
  readonly chance: () => number;
  readonly sleep: Patience['sleep'];
};

/**
 * The agent at work: ends when the signal fires, and leaves everything that runs as it is. What it
 * does on the machine does not wait for the directory: what was signed before goes on without it.
 */
export async function runAgentParts(parts: AgentParts, signal: AbortSignal): Promise<void> {
  const core = await openCore(parts, signal);
  await Promise.all([
    core.loop.run(signal),
    stayOnline(parts, core, signal),
    readLetters(parts, core, signal),
  ]);
}

/** Also while no directory was met: it is for then. */
async function readLetters(parts: AgentParts, core: Core, signal: AbortSignal): Promise<void> {
  const { record, self, sleep, clock } = parts;
  const obey = async (letter: CarriedCancellation): Promise<void> => {
    const { size } = core.holdings.held;
    await core.holdings.cancel(letter, clock.clock());
    if (core.holdings.held.size === size) return;
    parts.console.say('obeyed a cancellation out of a witness’s letter box');
    core.loop.wake();
  };
  const { isSilent } = core.follower;
  const asked = { node: self.identity.id, policy: record.policy, isSilent, obey, sleep };
  await keepReading({ ...asked, ...tellers(parts) }, signal);
}

export type Core = {
  readonly holdings: Holdings;
  readonly loop: Loop;
  readonly reporter: Reporter;
  readonly follower: Follower;
  readonly waits: Waits;
  readonly power: Power;
  readonly fence: FenceHolder;
  readonly trust: Trust;
  /** Takes in what the directory has, now and once more when an alarm is over. */
  readonly take: (wants: Wants) => Promise<void>;
};

/** The loop, what it goes by, and what it says. */
async function openCore(parts: AgentParts, signal: AbortSignal): Promise<Core> {
  const { grid, self, store, chance, sleep } = parts;
  const { clock } = parts.clock;
  const own = ownOf(parts);
  const { node } = own;
  const { onBad, onTrouble } = tellers(parts);
  const calm = { take: async (): Promise<void> => undefined };
  const watch = await openWatchOf(parts, () => {
    calm.take().catch((error: unknown) => onTrouble('wants', error));
  });
  const opens = opensWith(self.keys.sealing.secretKey);
  const holdings = await openHoldings({ store, grid, ...own, watch, opens, onBad });
  const follower = openFollower({ ...parts, watch, steady: parts.clock.steady, onTrouble });
  const wake = (): void => loop.wake();
  const trust = openTrust(parts.clock, wake);
  const meters = await openMetersOf(parts, wake);
  const fetching = { ...parts.images, clock, chance, sleep, onTrouble, onChange: wake };
  const images = openImages(fetching, signal);
  const fence = openFence({ ...parts, node, say: parts.console.say, onChange: wake });
  const voice = { follower, fence, power: powerOf(parts, holdings.held) };
  const reporter = openReporter(reportParts(parts, holdings, voice));
  const wishes = openWishes();
  const waits = openWaits(parts.clock.steady);
  const loop: Loop = openLoop({
    drivers: parts.drivers,
    lookAgainMs: parts.lookAgainMs,
    stepMsMax: STEP_MS_MAX,
    clock: parts.clock.steady,
    spent: processorMs,
    chance,
    wantOf: (sight) => {
      const volumes = volumesGround(parts, holdings, sight);
      return wishes({ ...groundOf(parts, { holdings, images, fence }, trust.now()), volumes });
    },
    onMove: parts.progress.move,
    onView: (view) => {
      waits.take(view);
      if (!fence.isFenced()) reporter.say(statements(parts, { holdings, meters }, view));
    },
    onFailure: (key, sentence) => {
      parts.console.failed(`${key}: ${sentence}`);
      if (key.startsWith('image ')) images.doubt(key.slice('image '.length));
    },
  });
  const take = async (wants: Wants): Promise<void> => {
    if (fence.isFenced()) return;
    calm.take = async () => take(wants);
    await follower.look();
    await holdings.take(wants, clock());
    wake();
    await follower.settle();
  };
  return { holdings, loop, reporter, ...voice, waits, trust, take };
}

/** Meets the directory, sets the clock, registers, and then reports and picks up side by side. */
async function stayOnline(parts: AgentParts, core: Core, signal: AbortSignal): Promise<void> {
  const { directory, directoryId, grid, chance, sleep, troubles } = parts;
  const patience: Patience = { waits: parts.console.waits, chance, sleep };
  const { identity } = await meetDirectory({ directory, id: directoryId, patience }, signal);
  core.fence.meet(identity);
  const setTime = async (): Promise<string> => {
    const clockParts = { ...parts.clock, directory, identity, grid, patience, troubles };
    const offMs = await syncClock(clockParts, signal);
    await parts.clock.onSynced();
    return `was off by ${formatDuration(Math.abs(offMs))}`;
  };
  const tell = async (): Promise<Joined> => {
    const body = { ...parts.registration, offer: parts.offer.current().envelope };
    return register({ directory, body, patience }, signal);
  };
  const join = async (): Promise<void> => {
    const said = await tell();
    const { farm } = said;
    await parts.home.hear(said);
    parts.console.shows({ farm });
    parts.console.reached('registered', `node=${parts.self.identity.id} farm=${farm}`);
    await parts.keepFloor();
  };
  const keepTime = async (): Promise<void> => {
    for (await sleep(HOUR_MS, signal); !signal.aborted; await sleep(HOUR_MS, signal)) {
      await setTime();
    }
  };
  parts.console.reached('clock-synced', await setTime());
  core.trust.gain('isClockSynced');
  parts.console.shows({ isClockSynced: true });
  await join();
  const answer = openAnswers(parts, core);
  const turns = turnsOf(parts, { isClockSynced: () => core.trust.now().isClockSynced, identity });
  const onWants = async (wants: Wants): Promise<void> => {
    await core.take(wants);
    await turns.take(wants);
    await parts.takeConsents(wants);
    if (await askByTerms({ ...parts, onBad: tellers(parts).onBad }, wants)) await tell();
    await answer(wants);
  };
  // Only the one that is the node starts what the node has to run: a copy of it hears so at once.
  const start = async (): Promise<void> => {
    await Promise.race([core.fence.heard, sleep(HEARD_MS_MAX, signal)]);
    core.trust.gain('mayStart');
  };
  const pickup = { ...parts.console, ...patience, feed: feedOf(parts), onWants, onRefused: join };
  await Promise.all([
    core.reporter.run(signal),
    start(),
    pickUp(pickup, signal),
    keepTime(),
    parts.keepUpToDate(turns, signal),
    sendCrash(parts, signal),
  ]);
}
