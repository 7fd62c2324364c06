import type { Prices } from '../capacity/price.ts';
import { opensWith } from '../contract/checks/body.ts';
import type { ContractStore } from '../contract/store.ts';
import type { CarriedCancellation } from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import type { Log } from '../host/log.ts';
import type { Identity } from '../identity/document.ts';
import { formatDuration, HOUR_MS, MINUTE_MS } from '../lib/units.ts';
import type { NodeBody } from '../sdk/index.ts';
import type { AgentConsole } from './bringup/console.ts';
import type { Directory, Patience } from './bringup/directory.ts';
import type { Self } from './bringup/identity.ts';
import { type ClockParts, meetDirectory, register, syncClock } from './bringup/registration.ts';
import type { OfferHolder } from './capacity/offer.ts';
import { askByTerms, type TermsHolder } from './capacity/terms.ts';
import { type Holdings, openHoldings } from './holdings.ts';
import { type ImagesParts, openImages } from './images.ts';
import type { Drivers } from './loop/observation.ts';
import { type Meters, openMeters } from './meter/meters.ts';
import { type Loop, openLoop } from './loop/reconcile.ts';
import { reportParts, statements, tellers } from './online/telling.ts';
import { type Feed, pickUp } from './pickup.ts';
import { openQuestions, type QuestionParts } from './questions.ts';
import { type Follower, openFollower } from './record/follower.ts';
import { keepReading } from './record/letters.ts';
import { openWatch, type RecordWatch, type WatchParts } from './record/watch.ts';
import { openReporter, type Reporter, type ReportParts } from './report.ts';
import type { PolicyHolder } from './turns/policy.ts';
import { openTurns, type Turns } from './turns/turns.ts';
import { imagesOf, wishesOf } from './wishes.ts';

const STEP_MS_MAX = 2 * MINUTE_MS;

/** Everything that the agent needs of the machine and of the grid, brought up. */
export type AgentParts = {
  readonly grid: string;
  readonly self: Self;
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
  readonly lookAgainMs: number;
  readonly images: Pick<ImagesParts, 'hasImage' | 'fetchImage'>;
  readonly readLogTail: (id: string) => Promise<Uint8Array>;
  readonly attest: QuestionParts['attest'];
  /** Answers the directory's challenges; `held` is what contracts have of the node. */
  readonly openMeasure: (held: Holdings['held']) => QuestionParts['measure'];
  readonly nextSeq: (nowMs: number) => Promise<number>;
  readonly life: ReportParts['life'];
  /** Writes down which release this boot took, on disk and TPM, once the directory knows us. */
  readonly keepFloor: () => Promise<void>;
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

type Core = {
  readonly holdings: Holdings;
  readonly loop: Loop;
  readonly reporter: Reporter;
  readonly follower: Follower;
  /** Takes in what the directory has, now and once more when an alarm is over. */
  readonly take: (wants: Wants) => Promise<void>;
  /** Whether times in contracts, and in the farmer's policy, mean something. */
  readonly isClockSynced: () => boolean;
  /** From now on they do. */
  readonly trustClock: () => void;
};

/** The loop, what it goes by, and what it says. */
async function openCore(parts: AgentParts, signal: AbortSignal): Promise<Core> {
  const { grid, self, store, offer, chance, sleep } = parts;
  const { clock } = parts.clock;
  const node = self.identity.id;
  let { isSynced } = parts.clock;
  const { onBad, onTrouble } = tellers(parts);
  const { total, class: nodeClass, current } = offer;
  const standing = (): ReadonlyMap<string, Prices> =>
    new Map([[current().id, current().offer.prices]]);
  const own = { node, total, class: nodeClass, standing };
  const calm = { take: async (): Promise<void> => undefined };
  const watch = await openWatchOf(parts, () => {
    calm.take().catch((error: unknown) => onTrouble('wants', error));
  });
  const opens = opensWith(self.keys.sealing.secretKey);
  const holdings = await openHoldings({ store, grid, ...own, watch, opens, onBad });
  const { directory } = parts;
  const follower = openFollower({ watch, directory, steady: parts.clock.steady, onTrouble });
  const wake = (): void => loop.wake();
  const meters = await openMetersOf(parts, wake);
  const images = openImages(
    { ...parts.images, clock, chance, sleep, onTrouble, onChange: wake },
    signal,
  );
  const reporter = openReporter(reportParts(parts, holdings, follower));
  const loop: Loop = openLoop({
    drivers: parts.drivers,
    lookAgainMs: parts.lookAgainMs,
    stepMsMax: STEP_MS_MAX,
    clock: parts.clock.steady,
    chance,
    wantOf: () => {
      const nowMs = clock();
      if (isSynced) holdings.expire(nowMs);
      const contracts = [...holdings.held.values()];
      images.want(imagesOf(contracts));
      const { fetchOf } = images;
      const { endOf } = holdings.peers;
      return wishesOf({ node, contracts, nowMs, isClockSynced: isSynced, fetchOf, endOf });
    },
    onView: (view) => reporter.say(statements(parts, { holdings, meters }, view)),
    onFailure: (key, sentence) => {
      parts.console.say(`failed ${key}: ${sentence}`);
      if (key.startsWith('image ')) images.doubt(key.slice('image '.length));
    },
  });
  const trustClock = (): void => {
    isSynced = true;
    wake();
  };
  const take = async (wants: Wants): Promise<void> => {
    calm.take = async () => take(wants);
    await follower.look();
    await holdings.take(wants, clock());
    wake();
    await follower.settle();
  };
  const isClockSynced = (): boolean => isSynced;
  return { holdings, loop, reporter, follower, take, trustClock, isClockSynced };
}

async function openMetersOf(parts: AgentParts, onChange: () => void): Promise<Meters> {
  const { metersPath: path, clock } = parts;
  const { onTrouble } = tellers(parts);
  return openMeters({ path, clock: clock.clock, steady: clock.steady, onChange, onTrouble });
}

async function openWatchOf(parts: AgentParts, onCalm: () => void): Promise<RecordWatch> {
  const { record, console, clock } = parts;
  return openWatch({ ...record, nowMs: clock.clock, say: console.say, onCalm });
}

/** Meets the directory, sets the clock, registers, and then reports and picks up side by side. */
async function stayOnline(parts: AgentParts, core: Core, signal: AbortSignal): Promise<void> {
  const { directory, directoryId, grid, chance, sleep } = parts;
  const patience: Patience = { say: parts.console.say, chance, sleep };
  const { identity } = await meetDirectory({ directory, id: directoryId, patience }, signal);
  const setTime = async (): Promise<string> => {
    const clockParts = { ...parts.clock, directory, identity, grid, patience };
    const offMs = await syncClock(clockParts, signal);
    await parts.clock.onSynced();
    core.trustClock();
    return `was off by ${formatDuration(Math.abs(offMs))}`;
  };
  const tell = async (): Promise<string> => {
    const body = { ...parts.registration, offer: parts.offer.current().envelope };
    return register({ directory, body, patience }, signal);
  };
  const join = async (): Promise<void> => {
    const farm = await tell();
    parts.console.reached('registered', `node=${parts.self.identity.id} farm=${farm}`);
    await parts.keepFloor();
  };
  const keepTime = async (): Promise<void> => {
    for (await sleep(HOUR_MS, signal); !signal.aborted; await sleep(HOUR_MS, signal)) {
      await setTime();
    }
  };
  parts.console.reached('clock-synced', await setTime());
  await join();
  const answer = openAnswers(parts, core.holdings);
  const turns = turnsOf(parts, core, identity);
  const onWants = async (wants: Wants): Promise<void> => {
    await core.take(wants);
    await turns.take(wants);
    if (await askByTerms({ ...parts, onBad: tellers(parts).onBad }, wants)) await tell();
    await answer(wants);
  };
  const pickup = { ...patience, feed: feedOf(parts), onWants, onRefused: join };
  await Promise.all([
    core.reporter.run(signal),
    pickUp(pickup, signal),
    keepTime(),
    parts.keepUpToDate(turns, signal),
  ]);
}

/** Whose turn it is to update; `identity` is the directory's, which gives them. */
function turnsOf(parts: AgentParts, core: Core, identity: Identity): Turns {
  const { grid, self, directory, policy, nextSeq } = parts;
  const node = self.identity.id;
  return openTurns({
    grid,
    node,
    policy,
    nextSeq,
    signer: self.keys.signing,
    directory: identity,
    clock: parts.clock.clock,
    isClockSynced: core.isClockSynced,
    send: async (wish) => directory.call(async (client) => client.takeTurn(node, wish)),
    onBad: tellers(parts).onBad,
  });
}

function feedOf({ grid, self, directory, clock }: AgentParts): Feed {
  const signing = {
    grid,
    node: self.identity.id,
    signer: self.keys.signing,
    nowMs: clock.clock,
  };
  return {
    open: (signal) => directory.client().feed(signing, { signal }),
    poll: async ({ after, waitMs }) => directory.client().wants(signing, { after, waitMs }),
    skip: directory.skip,
  };
}

function openAnswers(parts: AgentParts, { held }: Holdings): (wants: Wants) => Promise<void> {
  const { grid, self, directory, readLogTail, attest } = parts;
  const measure = parts.openMeasure(held);
  return openQuestions({
    grid,
    held,
    readLogTail,
    attest,
    measure,
    onBad: tellers(parts).onBad,
    node: self.identity.id,
    signer: self.keys.signing,
    clock: parts.clock.clock,
    send: async (envelope) => {
      await directory.call(async (client) => client.putAnswer(envelope));
    },
  });
}
