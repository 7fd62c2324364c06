import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Resources } from '../../../src/capacity/spec.ts';
import { openContractStore } from '../../../src/contract/store.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import type { Envelope } from '../../../src/identity/envelope.ts';
import type { OwnClass } from '../../../src/node/bringup/attestation.ts';
import { openConsole } from '../../../src/node/bringup/console.ts';
import { openDirectory } from '../../../src/node/bringup/directory.ts';
import type { Self } from '../../../src/node/bringup/identity.ts';
import { openMeasure } from '../../../src/node/capacity/measure.ts';
import { fetchBytes } from '../../../src/host/http.ts';
import { MiB, MINUTE_MS } from '../../../src/lib/units.ts';
import type { SignedOffer } from '../../../src/node/capacity/offer.ts';
import { openSequence } from '../../../src/node/bringup/sequence.ts';
import { type AgentParts, runAgentParts } from '../../../src/node/agent.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { openRecordStore } from '../../../src/node/record/store.ts';
import { parsePolicy } from '../../../src/record/policy.ts';
import { GRID } from '../contracts.ts';
import type { TestDirectory } from '../directory.ts';
import { type Farmer, freshNonce, makeToken } from '../identity/farm.ts';
import { healthOf } from './health.ts';
import { Machine } from './machine.ts';
import { NO_TPM, openOwn, type Own } from './own.ts';

/** A running agent over a machine in memory, against a real directory. */
export type TestAgent = AsyncDisposable & {
  readonly machine: Machine;
  readonly self: Self;
  readonly offer: SignedOffer;
  readonly folder: string;
  readonly lines: readonly string[];
  /** Images that sources give; others can't be fetched. */
  readonly images: Set<string>;
  readonly logs: Map<string, string>;
  readonly token: Envelope | null;
  /** Ends the process as SIGTERM does; disk and machine stay. */
  readonly stop: () => Promise<void>;
};

export type AgentWish = {
  /** What its boot is worth; nothing unless told. */
  readonly own?: Pick<OwnClass, 'class' | 'endorsement' | 'attest'>;
  readonly directory: Pick<TestDirectory, 'url' | 'client'> & {
    readonly own: { readonly id: string };
    readonly record: { readonly policy: string };
    readonly clock: { readonly nowMs: number };
  };
  readonly farmer: Farmer;
  /** Of its boot media, when not one that is good by the clock of tests; `null` for none. */
  readonly token?: Envelope | null;
  /** The disk and the machine of an agent before, as after a restart. */
  readonly before?: TestAgent;
  readonly clockOffMs?: number;
  /** What it takes itself to have, when that is not what it offers. */
  readonly total?: Resources;
  /** What its heartbeats say differently. */
  readonly life?: () => Partial<Heartbeat>;
  readonly power?: AgentParts['power'];
  readonly keepUpToDate?: NonNullable<AgentParts['keepUpToDate']>;
  /** Where it keeps what it keeps, when not in a folder that goes with it. */
  readonly folder?: string;
  /** Parts of a real machine in place of the one in memory. */
  readonly parts?: Partial<AgentParts>;
};

/** Starts an agent; it ends with the test. */
export async function startAgent(wish: AgentWish): Promise<TestAgent> {
  const { before } = wish;
  const kept = {
    machine: before?.machine ?? new Machine(),
    folder: before?.folder ?? wish.folder ?? mkdtempSync(join(tmpdir(), 'zos-agent-')),
    images: before?.images ?? new Set<string>(),
    logs: before?.logs ?? new Map<string, string>(),
    token: tokenOf(wish),
  };
  const lines: string[] = [];
  const own = await openOwn({ ...wish, ...kept, lines });
  const { self, offer } = own;
  const parts = await partsOf({ wish, kept, ...own, lines });
  const ending = new AbortController();
  const ended = runAgentParts(parts, ending.signal).catch((error: unknown) => {
    if (!ending.signal.aborted) lines.push(`died: ${String(error)}`);
  });
  const stop = async (): Promise<void> => {
    ending.abort();
    await ended;
  };
  return {
    ...kept,
    self,
    lines,
    stop,
    get offer() {
      return offer.current();
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(kept.folder, { recursive: true, force: true });
    },
  };
}

function tokenOf({ before, token, farmer }: AgentWish): Envelope | null {
  if (before !== undefined) return before.token;
  return token === undefined ? makeToken(farmer) : token;
}

type Ground = Own & {
  readonly wish: AgentWish;
  readonly kept: Pick<TestAgent, 'machine' | 'folder' | 'images' | 'logs' | 'token'>;
  readonly lines: string[];
};

async function partsOf(ground: Ground): Promise<AgentParts> {
  const { wish, kept, self, home, terms, policy, offer, takeConsents, lines } = ground;
  const { directory, farmer } = wish;
  const { machine, folder, images, logs, token } = kept;
  return {
    grid: GRID,
    self,
    home,
    terms,
    policy,
    offer: { ...offer, total: wish.total ?? offer.total },
    attest: (wish.own ?? NO_TPM).attest,
    openMeasure: () => measureOf(directory, folder),
    registration: { identity: self.document, token, farmer: farmer.document },
    directory: openDirectory([{ url: directory.url, client: directory.client }]),
    directoryId: directory.own.id,
    metersPath: `${folder}/meters.json`,
    store: await openContractStore(`${folder}/contracts`),
    record: await recordOf(directory, folder),
    onAcknowledged: async () => undefined,
    keepUpToDate: async () => undefined,
    drivers: machine.drivers(),
    volumeDisks: () => [],
    lookAgainMs: 200,
    images: {
      hasImage: async ({ sha256 }) => machine.images.has(sha256),
      fetchImage: async ({ sha256 }) => {
        if (!images.has(sha256)) throw new Error('No source gave the image.');
      },
    },
    readLogTail: async (id) => new TextEncoder().encode(logs.get(id) ?? ''),
    nextSeq: await openSequence(`${folder}/seq`),
    life: async () => ({ ...LIFE, ...wish.life?.() }),
    ...healthOf({ power: wish.power, folder, self, lines }),
    ...(wish.keepUpToDate === undefined ? {} : { keepUpToDate: wish.keepUpToDate }),
    keepFloor: async () => {},
    bootId: LIFE.bootId,
    takeConsents,
    addresses: () => LIFE.addresses,
    clock: clockOf(wish),
    console: openConsole({
      print: (line) => lines.push(line),
      sinceKernelStartMs: () => 0,
      before: [],
    }),
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    chance: () => 0,
    sleep: async (ms, signal) => {
      const shortMs = ms > 60_000 ? ms : Math.min(ms, 100);
      await pause(shortMs, undefined, { signal }).catch(() => undefined);
    },
    ...wish.parts,
  };
}

async function recordOf(
  { record }: AgentWish['directory'],
  folder: string,
): Promise<AgentParts['record']> {
  const store = await openRecordStore(`${folder}/record`);
  return { policy: parsePolicy(utf8(record.policy)), store };
}

/** Real challenges, of little memory and disk, whatever else runs on the machine of tests. */
function measureOf({ own, url }: AgentWish['directory'], folder: string) {
  return openMeasure({
    directory: own.id,
    limits: async () => ({ memoryBytes: MiB, diskBytes: MiB / 2 }),
    diskPath: `${folder}/measured.plot`,
    processors: 2,
    isIdle: () => true,
    steady: () => performance.now(),
    sleep: async (ms) => pause(ms),
    fetchSample: async (question, sampleBytes) =>
      fetchBytes({
        url: `${url}/v1/measurements/${question}/sample`,
        bytesMax: sampleBytes,
      }),
  });
}

/** A clock that runs, off by as much as told, until it is set. */
function clockOf({ directory, before, clockOffMs = 0 }: AgentWish): AgentParts['clock'] {
  let offMs = clockOffMs;
  const startedAtMs = performance.now();
  const clock = (): number =>
    Math.round(directory.clock.nowMs + offMs + performance.now() - startedAtMs);
  return {
    clock,
    steady: () => performance.now(),
    nonce: freshNonce,
    isSynced: before !== undefined,
    setClock: async (nowMs) => {
      offMs += nowMs - clock();
    },
    onSynced: async () => undefined,
  };
}

const LIFE = {
  bootId: 'test',
  uptimeMs: 1,
  memory: { totalBytes: 1, availableBytes: 1 },
  system: null,
  addresses: ['192.0.2.7'],
  stages: [],
  keyKept: 'disk' as const,
  agentStarts: 1,
};

const quiet = (): void => undefined;

/** Looks until it is as it should be; says what it saw last when that never comes. */
export async function until<T>(
  look: () => T | Promise<T>,
  isSo: (seen: T) => boolean,
  say: () => string = () => '',
): Promise<T> {
  const deadlineMs = performance.now() + MINUTE_MS;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() > deadlineMs) {
      throw new Error(`It did not come to be: ${JSON.stringify(seen)}\n${say()}`);
    }
    await pause(20);
  }
}
