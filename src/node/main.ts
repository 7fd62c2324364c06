import { readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { observeBoot } from '../capacity/observe-boot.ts';
import type { BootRecord } from '../artifact/spec.ts';
import { NO_TERMS } from '../capacity/farm/terms.ts';
import { containerDriver } from '../container/apply.ts';
import type { OpenSecret } from '../container/apply-secrets.ts';
import { openSecret } from '../contract/checks/body.ts';
import { readLogTail } from '../container/observe.ts';
import { BOOT_REFUSALS_MAX, type BootReport } from '../contract/receipt.ts';
import { ANSWER_BYTES_MAX } from '../contract/question.ts';
import { openContractStore } from '../contract/store.ts';
import { openLog, printLine } from '../host/log.ts';
import { utf8 } from '../lib/bytes.ts';
import { codeOf, sentenceOf } from '../lib/errors.ts';
import { SECOND_MS } from '../lib/units.ts';
import { parsePolicy } from '../record/policy.ts';
import { openClient } from '../sdk/index.ts';
import type { DataDisk } from '../volume/apply.ts';
import { znetDriver } from '../znet/apply.ts';
import { imageDriver } from '../zosfs/apply.ts';
import type { ImageGround } from '../zosfs/plan.ts';
import { type AgentParts, runAgentParts } from './agent.ts';
import { findOwnClass, type OwnClass } from './bringup/attestation.ts';
import { type BootFiles, readBootFiles } from './bringup/boot-files.ts';
import { type AgentConsole, openConsole } from './bringup/console.ts';
import { type Directory, openDirectory } from './bringup/directory.ts';
import { firewallDriver } from './bringup/firewall.ts';
import { openSelf, type Self } from './bringup/identity.ts';
import { bringUpMachine, ownAddresses } from './bringup/machine.ts';
import { countCapacity } from './capacity/content.ts';
import { openMachineMeasure } from './capacity/limits.ts';
import { openOffer, type OfferHolder } from './capacity/offer.ts';
import { openTerms } from './capacity/terms.ts';
import { openFloor } from './boot/floor.ts';
import { countStart, openClock } from './boot/start.ts';
import { openSequence } from './bringup/sequence.ts';
import { openImageDoors } from './images.ts';
import { type LoopDriver, loopDriver, usesNothing } from './loop/observation.ts';
import { openRecordStore } from './record/store.ts';
import { openPolicy } from './turns/policy.ts';
import { type Ending, openEnding, untilLeft } from './update/ending.ts';
import { openSupervisor, type Supervisor } from './update/supervisor.ts';
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
  try {
    const boot = await readBootFiles(BOOT_FOLDER);
    const console = consoleOf(boot);
    await mkdir(AGENT_FOLDER, { recursive: true, mode: 0o700 });
    const agentStarts = await countStart(AGENT_FOLDER);
    console.reached('started', `start ${agentStarts} of this boot`);
    const supervisor = openSupervisor({ agent: AGENT_FOLDER, boot: BOOT_FOLDER });
    const work = async (): Promise<void> => {
      const disk = await bringUpMachine({ boot, console, signal });
      ending.folder = nodeFolder(disk);
      await runAgentParts(
        await gather({ boot, console, disk, agentStarts, supervisor, ending }),
        signal,
      );
    };
    await untilLeft(Promise.all([supervisor.keepAlive(signal), work()]), signal);
    await ending.leave();
    return ending.status;
  } catch (error) {
    if (signal.aborted) return ending.status;
    printLine(`zos: agent stopped: ${sentenceOf(error)}`);
    return 1;
  }
}

type Ground = {
  readonly boot: BootFiles;
  readonly console: AgentConsole;
  readonly disk: DataDisk;
  readonly agentStarts: number;
  readonly supervisor: Supervisor;
  readonly ending: Ending;
};

/** Everything that the agent works with, each opened once. */
async function gather(ground: Ground): Promise<AgentParts> {
  const { boot, console, disk, supervisor } = ground;
  const { signal } = ground.ending;
  const log = openLog('node');
  const { grid, directory } = boot.grid;
  const folder = nodeFolder(disk);
  const self = await openSelf(folder);
  console.reached('identity', `node=${self.identity.id}${self.isNew ? ' made new' : ''}`);
  const own = await ownClassOf(boot);
  if (own.answeredMs !== null) console.say(`TPM answered in ${own.answeredMs} ms`);
  console.reached('class', own.because === '' ? own.class : `${own.class}: ${own.because}`);
  const images = await openImageDoors({ dataPath: disk.path, sleep, signal });
  const { token, farmer } = boot.media;
  const online = directoryOf(ground);
  const { policy, terms } = await openWords(ground, folder);
  const offer = await openOffer(
    {
      path: `${folder}/offer.json`,
      self: self.identity,
      signer: self.keys.signing,
      content: await countCapacity({ grid, node: self.identity.id, disk, own }),
    },
    terms.current() ?? NO_TERMS,
  );
  const { cru, mruBytes, sruBytes } = offer.current().offer.capacity;
  console.reached('offer', `cru=${cru} mruBytes=${mruBytes} sruBytes=${sruBytes}`);
  const policyVersion = policy.current()?.version ?? 0;
  const update = await openUpdateOf(ground, { folder, policyVersion });
  return {
    grid,
    self,
    policy,
    images,
    console,
    sleep,
    chance: Math.random,
    log,
    offer,
    terms,
    attest: own.attest,
    openMeasure: measureOf(ground, { directory: online, offer }),
    registration: { identity: self.document, token, farmer },
    directory: online,
    directoryId: directory.identity,
    ...(await keptIn(folder)),
    record: await recordOf(boot, folder),
    drivers: driversOf(images.ground, self),
    lookAgainMs: LOOK_AGAIN_MS,
    readLogTail: async (id) => readLogTail(id, ANSWER_BYTES_MAX),
    life: lifeOf(ground, update, own),
    onAcknowledged: supervisor.sayHealthy,
    keepUpToDate: update.follow,
    keepFloor: openFloor({ record: boot.record, disk, console, log }),
    addresses: ownAddresses,
    clock: await openClock(AGENT_FOLDER, () => Date.now()),
  };
}

/** What the farmer signed for this node, as far as the node heard of it. */
async function openWords({ boot, console }: Ground, folder: string) {
  const parts = {
    ...boot.media,
    grid: boot.grid.grid,
    onBad: (what: string, error: unknown) =>
      console.say(`refused ${what}: ${codeOf(error)} ${sentenceOf(error)}`),
  };
  return {
    policy: await openPolicy({ ...parts, path: `${folder}/update-policy.json` }),
    terms: await openTerms({ ...parts, path: `${folder}/farm-terms.json` }),
  };
}

/** What outlives the agent, the directory's silence and a loss of power. */
async function keptIn(
  folder: string,
): Promise<Pick<AgentParts, 'store' | 'metersPath' | 'nextSeq'>> {
  return {
    store: await openContractStore(`${folder}/contracts`),
    metersPath: `${folder}/meters.json`,
    nextSeq: await openSequence(`${folder}/seq`),
  };
}

function directoryOf({ boot, ending }: Ground): Directory {
  const { signal } = ending;
  const [first = '', ...others] = boot.grid.directory.urls;
  const addressOf = (url: string) => ({ url, client: openClient({ baseUrl: url, signal }) });
  return openDirectory([addressOf(first), ...others.map(addressOf)]);
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

function nodeFolder({ path }: DataDisk): string {
  return `${path ?? AGENT_FOLDER}/node`;
}

function driversOf(ground: ImageGround, { keys }: Self): AgentParts['drivers'] {
  const openOwn: OpenSecret = (secret) => openSecret(keys.sealing.secretKey, secret);
  const drivers: readonly LoopDriver[] = [
    loopDriver(firewallDriver()),
    loopDriver(imageDriver(ground), usesNothing),
    loopDriver(znetDriver(), usesNothing),
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

function lifeOf(ground: Ground, update: Update, own: OwnClass): AgentParts['life'] {
  const { isSecureBoot, lockdown } = own.facts;
  const { boot, console, disk, agentStarts, supervisor } = ground;
  return async () => ({
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    uptimeMs: sinceKernelStartMs(),
    memory: { totalBytes: totalmem(), availableBytes: freemem() },
    system: boot.record.systemSha256,
    isOnTrial: await supervisor.isOnTrial(),
    addresses: ownAddresses().slice(0, 32),
    stages: [...console.stages],
    keyKept: disk.path === null ? 'memory' : 'disk',
    security: { isSecureBoot, lockdown, because: own.because.slice(0, 500) },
    boot: bootReportOf(boot.record),
    agentStarts,
    starts: [...update.starts],
    systemBad: [...update.marks.all()],
    kernel: boot.record.kernel,
  });
}

function bootReportOf({ versions, loader, media, refusals }: BootRecord): BootReport {
  return { versions, loader, media, refusals: refusals.slice(-BOOT_REFUSALS_MAX) };
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
