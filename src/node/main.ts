import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { freemem } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { observeBoot } from '../capacity/observe-boot.ts';
import { NO_TERMS } from '../capacity/farm/terms.ts';
import { containerDriver } from '../container/apply.ts';
import { openSecret } from '../contract/checks/body.ts';
import { readLogTail } from '../container/observe.ts';
import { ANSWER_BYTES_MAX } from '../contract/question.ts';
import { openContractStore } from '../contract/store.ts';
import { ownAddresses } from '../host/net/ip.ts';
import { openLog, printLine } from '../host/log.ts';
import { giveBackHeap } from '../host/usage/heap.ts';
import { utf8 } from '../lib/bytes.ts';
import { codeOf, sentenceOf } from '../lib/errors.ts';
import { SECOND_MS } from '../lib/units.ts';
import { parsePolicy } from '../record/policy.ts';
import { type OpenKey, volumeDriver } from '../volume/apply.ts';
import { keptOnDisks } from './disks/kept.ts';
import { nodeFolder, type OwnDisks } from './disks/opening.ts';
import { type DiskWatch, openDiskWatch } from './disks/watch.ts';
import { znetDriver } from '../znet/apply.ts';
import { imageDriver } from '../zosfs/apply.ts';
import type { ImageGround } from '../zosfs/plan.ts';
import { type AgentParts, runAgentParts } from './agent.ts';
import { findOwnClass, type OwnClass } from './bringup/attestation.ts';
import { type BootFiles, readBootFiles } from './bringup/boot-files.ts';
import { type AgentConsole, openConsole } from './bringup/console.ts';
import { type Directory, openDirectoryOf } from './bringup/directory.ts';
import { firewallDriver } from './bringup/firewall.ts';
import type { Self } from './bringup/identity.ts';
import { openHome } from './identity/home.ts';
import { openOwnSelf } from './identity/opening.ts';
import { bringUpMachine } from './bringup/machine.ts';
import { openOwnOffer } from './capacity/content.ts';
import { openNetwork } from './bringup/network.ts';
import { openMachineMeasure } from './capacity/limits.ts';
import type { OfferHolder } from './capacity/offer.ts';
import { openTerms } from './capacity/terms.ts';
import { countStart, openClock } from './boot/start.ts';
import { openSequence } from './bringup/sequence.ts';
import { openHealth, watchOver } from './health/health.ts';
import { openProgress, type Progress } from './health/progress.ts';
import { watchReach } from './health/reach.ts';
import { openTroubles, type Troubles } from './health/troubles.ts';
import { openImageDoors } from './images.ts';
import { sendCourier } from './online/sending.ts';
import { type LoopDriver, loopDriver, usesNothing } from './loop/observation.ts';
import { openRecordStore } from './record/store.ts';
import { openAgentScreen, showSelf } from './screen/screen.ts';
import { openPolicy } from './turns/policy.ts';
import { type Ending, openEnding, untilLeft } from './update/ending.ts';
import { openSupervisor, STATUS_DISK, type Supervisor } from './update/supervisor.ts';
import { openUpdate, type Update } from './update/update.ts';

/** A container that ended by itself is seen as late as this. */
const LOOK_AGAIN_MS = 5 * SECOND_MS;
const BOOT_FOLDER = '/run/zos/boot';
/** What lives as long as this boot: it tells a restart of the agent from a start of the machine. */
const AGENT_FOLDER = '/run/zos/agent';

/**
 * The agent, from the machine as the first stage left it to a node that does what was signed. Ends
 * with exit status 0 when it is told to, and leaves containers, tunnels and mounts as they are.
 */
export async function runAgent(): Promise<number> {
  const ending = openEnding();
  const { signal } = ending;
  const supervisor = openSupervisor({ agent: AGENT_FOLDER, boot: BOOT_FOLDER });
  try {
    const boot = await readBootFiles(BOOT_FOLDER);
    const console = consoleOf(boot);
    await mkdir(AGENT_FOLDER, { recursive: true, mode: 0o700 });
    const agentStarts = await countStart(AGENT_FOLDER);
    console.reached('started', `start ${agentStarts} of this boot`);
    const steady = (): number => performance.now();
    const troubles = openTroubles({ steady, say: console.say });
    using _screen = openAgentScreen({ boot, console, troubles, sinceKernelStartMs });
    const progress = openProgress(steady);
    const network = openNetwork({ boot, console, troubles, sleep, steady, signal });
    const work = async (): Promise<void> => {
      const disk = await bringUpMachine({ boot, console, troubles, network, signal });
      ending.folder = nodeFolder(disk);
      const onLost = (): void => ending.end(STATUS_DISK);
      const watch = openDiskWatch({ disk, troubles, sleep, log: openLog('disks'), onLost });
      const mine = { boot, console, disk, watch, agentStarts, supervisor, ending };
      const courier = sendCourier({ console, troubles, sleep, steady }, signal);
      const parts = gather({ ...mine, troubles, progress });
      const lean = giveBackHeap(sleep, signal);
      const kept = [network.keep(), courier, watch.run(signal), lean];
      await Promise.all([...kept, runAgentParts(await parts, signal)]);
    };
    const watched = { supervisor, progress, troubles, steady, sleep, end: ending.end };
    await untilLeft(Promise.all([watchOver(watched, signal), work()]), signal);
    await ending.leave();
    return ending.status;
  } catch (error) {
    // Work that is cut off may end with an error of its own: it was told to go down all the same.
    if (signal.aborted) {
      await ending.leave().catch(() => undefined);
      return ending.status;
    }
    printLine(`zos: agent stopped: ${sentenceOf(error)}`);
    await supervisor.leaveWhy(sentenceOf(error)).catch(() => undefined);
    return 1;
  }
}

type Ground = {
  readonly boot: BootFiles;
  readonly console: AgentConsole;
  readonly disk: OwnDisks;
  readonly watch: DiskWatch;
  readonly agentStarts: number;
  readonly supervisor: Supervisor;
  readonly ending: Ending;
  readonly troubles: Troubles;
  readonly progress: Progress;
};

/** Everything that the agent works with, each opened once. */
async function gather(ground: Ground): Promise<AgentParts> {
  const { boot, console, disk, supervisor } = ground;
  const { signal } = ground.ending;
  const { grid, directory } = boot.grid;
  const folder = nodeFolder(disk);
  const self = await openOwnSelf(
    { folder, disk, console, loader: boot.record.loader, sleep },
    signal,
  );
  const own = await ownClassOf(boot);
  showSelf(ground, self.identity.id, own);
  const images = await openImageDoors({ dataPath: disk.path, sleep, signal });
  const { token, farmer } = boot.media;
  const onReached = watchReach({ troubles: ground.troubles, steady: () => performance.now() });
  const online = openDirectoryOf(boot.grid.directory.urls, onReached, signal);
  const { home, policy, terms } = await openWords(ground, folder, self);
  const counted = { grid, self, disk, own, console, folder, troubles: ground.troubles };
  const { offer, reserve } = await openOwnOffer(
    { ...counted, system: boot.record.systemSha256, bootFolder: BOOT_FOLDER },
    terms.current() ?? NO_TERMS,
  );
  const policyVersion = policy.current()?.version ?? 0;
  const update = await openUpdateOf(ground, { folder, policyVersion });
  return {
    grid,
    self,
    home,
    policy,
    images,
    console,
    sleep,
    chance: Math.random,
    log: openLog('node'),
    offer,
    terms,
    attest: own.attest,
    openMeasure: measureOf(ground, { directory: online, offer }),
    registration: { identity: self.document, token, farmer },
    directory: online,
    directoryId: directory.identity,
    ...(await keptIn(folder, self)),
    record: await recordOf(boot, folder),
    drivers: driversOf(ground, images.ground, self),
    volumeDisks: () => disk.disks,
    lookAgainMs: LOOK_AGAIN_MS,
    readLogTail: async (id) => readLogTail(id, ANSWER_BYTES_MAX),
    ...(await openHealth({ ...ground, folder, self, update, own, reserve, sinceKernelStartMs })),
    onAcknowledged: supervisor.sayHealthy,
    keepUpToDate: update.follow,
    ...keptOnDisks({ ...ground, self, home, nowMs: Date.now, end: ground.ending.end }),
    addresses: ownAddresses,
    clock: await openClock(AGENT_FOLDER, () => Date.now()),
  };
}

/** What the farmer signed for this node, as far as the node heard of it. */
async function openWords({ boot, console }: Ground, folder: string, self: Self) {
  const { grid } = boot.grid;
  const onBad = (what: string, error: unknown): void =>
    console.say(`refused ${what}: ${codeOf(error)} ${sentenceOf(error)}`);
  const path = `${folder}/approval.json`;
  const home = await openHome({ ...boot.media, grid, node: self.identity.id, path, onBad });
  const parts = { grid, home, onBad };
  return {
    home,
    policy: await openPolicy({ ...parts, path: `${folder}/update-policy.json` }),
    terms: await openTerms({ ...parts, path: `${folder}/farm-terms.json` }),
  };
}

/** What outlives the agent, the directory's silence and a loss of power. */
async function keptIn(
  folder: string,
  self: Self,
): Promise<Pick<AgentParts, 'store' | 'metersPath' | 'nextSeq'>> {
  return {
    store: await openContractStore(`${folder}/contracts`, bodiesFolder(folder, self)),
    metersPath: `${folder}/meters.json`,
    nextSeq: await openSequence(`${folder}/seq`),
  };
}

/**
 * Where the private bodies of contracts lie. What is sealed in them opens with the node's key: so
 * they lie in memory, and are fetched again after a boot, but for where a TPM seals that key.
 */
function bodiesFolder(folder: string, { isSealed }: Self): string {
  return isSealed ? `${folder}/bodies` : `${AGENT_FOLDER}/bodies`;
}

async function ownClassOf({ record, measurements }: BootFiles): Promise<OwnClass> {
  return findOwnClass({ facts: await observeBoot(record.loader), measurements });
}

/** The policy of the signed release is the only one that counts. */
async function recordOf({ grid }: BootFiles, folder: string): Promise<AgentParts['record']> {
  const policy = parsePolicy(utf8(grid.record.policy));
  return { policy, store: await openRecordStore(`${folder}/record`) };
}

type Measured = { readonly directory: Directory; readonly offer: OfferHolder };

function measureOf({ boot, disk, ending }: Ground, { directory, offer }: Measured) {
  return (held: Parameters<AgentParts['openMeasure']>[0]) =>
    openMachineMeasure(
      {
        directory: boot.grid.directory.identity,
        url: directory.url,
        total: offer.total,
        processors: offer.current().offer.capacity.cru,
        diskFolder: disk.path,
        signal: ending.signal,
      },
      held,
    );
}

function driversOf(
  { disk, troubles }: Ground,
  images: ImageGround,
  { keys }: Self,
): AgentParts['drivers'] {
  const openOwn: OpenKey = (box) => openSecret(keys.sealing.secretKey, box);
  const drivers: readonly LoopDriver[] = [
    loopDriver(firewallDriver(troubles)),
    loopDriver(imageDriver(images), usesNothing),
    loopDriver(znetDriver(), usesNothing),
    loopDriver(volumeDriver({ disks: () => disk.disks }, openOwn), usesNothing),
    loopDriver(containerDriver(openOwn)),
  ];
  return new Map(drivers.map((driver) => [driver.kind, driver]));
}

type Held = { readonly folder: string; readonly policyVersion: number };

async function openUpdateOf(ground: Ground, held: Held): Promise<Update> {
  const { boot, console, supervisor, ending } = ground;
  const log = openLog('update');
  return openUpdate({
    boot,
    console,
    supervisor,
    sleep,
    ...held,
    agentFolder: AGENT_FOLDER,
    bootFolder: BOOT_FOLDER,
    chance: Math.random,
    freeBytes: freemem,
    leave: ending.end,
    nowMs: Date.now(),
    sinceKernelStartMs: sinceKernelStartMs(),
    onTrouble: (what, error) => {
      log.warn({ what, code: codeOf(error), sentence: sentenceOf(error) }, 'trouble');
    },
  });
}

function consoleOf(boot: BootFiles): AgentConsole {
  const before = boot.record.stages.map(({ stage, sinceKernelStartMs: atMs }) => ({
    name: stage.slice(0, 60),
    atMs: Math.round(atMs),
  }));
  return openConsole({ print: printLine, sinceKernelStartMs, before });
}

function sinceKernelStartMs(): number {
  const [seconds = '0'] = readFileSync('/proc/uptime', 'utf8').split(' ');
  return Math.round(Number(seconds) * SECOND_MS);
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
