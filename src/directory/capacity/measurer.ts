import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Measurement, measurementSchema, spaceBelow } from '../../capacity/measured/spec.ts';
import { verifyOffer } from '../../capacity/verify.ts';
import type { Log } from '../../host/log.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { signEnvelope } from '../../identity/envelope.ts';
import { sha256Hex, utf8 } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { HOUR_MS, MiB, MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import type { OwnIdentity } from '../keys.ts';
import type { Store } from '../store.ts';
import { openChallenges } from './challenges.ts';
import { MeasuringError, measureNode } from './measuring.ts';

/** Between two measurements of a node, half to one and a half of it, so that no node knows when. */
const AGAIN_MS = 6 * HOUR_MS;
/** A node that is new is left to come up first. */
const FIRST_MS = 20 * MINUTE_MS;
const LOOK_EVERY_MS = 30 * SECOND_MS;
/** With the proofs that are asked for beside, within what one asker may have open. */
const AT_ONCE_MAX = 4;
/** A challenge takes an eighth of what is offered at most; the node's own limits may be lower. */
const SHARE_PARTS = 8;
const MEMORY_BYTES_MAX = 256 * MiB;
const DISK_BYTES_MAX = 256 * MiB;

export type MeasurerParts = {
  readonly grid: string;
  readonly own: OwnIdentity;
  readonly store: Store;
  readonly nowMs: () => number;
  readonly chance: () => number;
  readonly log: Log;
};

/** Measures nodes at moments that they don't know, and puts what they showed on the record. */
export type Measurer = {
  /** Measures one node now; `undefined` when its tenants need it. */
  readonly measure: (node: string, signal: AbortSignal) => Promise<Measurement | undefined>;
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/** The directory's own measuring; what it found anybody reads in the record. */
export function openMeasurer(parts: MeasurerParts): Measurer {
  const { store, nowMs, chance, log } = parts;
  const measure: Measurer['measure'] = async (node, signal) => measureOnce(parts, node, signal);
  const under = new Set<Promise<unknown>>();
  const look = async (signal: AbortSignal): Promise<void> => {
    const nodes = await store.claimDue({
      nowMs: nowMs(),
      firstMs: Math.round(nowMs() + FIRST_MS * (0.5 + chance())),
      nextMs: Math.round(nowMs() + AGAIN_MS * (0.5 + chance())),
      limit: AT_ONCE_MAX - under.size,
    });
    for (const node of nodes) {
      const work = measure(node, signal).catch((error: unknown) => {
        if (signal.aborted) return;
        log.warn({ node, code: codeOf(error), sentence: sentenceOf(error) }, 'not measured');
      });
      under.add(work);
      void work.finally(() => under.delete(work));
    }
  };
  return {
    measure,
    run: async (signal) => {
      while (!signal.aborted) {
        if (under.size < AT_ONCE_MAX) {
          await look(signal).catch((error: unknown) => {
            log.warn({ sentence: sentenceOf(error) }, 'nobody measured');
          });
        }
        await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
      await Promise.all(under);
    },
  };
}

async function measureOnce(
  { grid, own, store, nowMs }: MeasurerParts,
  node: string,
  signal: AbortSignal,
): Promise<Measurement | undefined> {
  const said = await store.node(node);
  if (said === undefined) return undefined;
  const identity = verifyIdentity(said.identity, node);
  const offer = verifyOffer(said.offer, identity, grid);
  const { mruBytes, sruBytes } = offer.capacity;
  const challenges = openChallenges({ grid, own, store, nowMs, node: identity, signal });
  const base = {
    grid,
    node,
    offer: offer.id,
    because: '',
    memoryBytes: 0,
    diskBytes: 0,
    spaceMs: null,
    roundsPerSecond: null,
    lanes: null,
    bytesPerSecond: null,
  };
  const seen = await measureNode(challenges.ask, {
    own,
    memoryBytes: spaceBelow(Math.min(mruBytes / SHARE_PARTS, MEMORY_BYTES_MAX)),
    diskBytes: spaceBelow(Math.min(sruBytes / SHARE_PARTS, DISK_BYTES_MAX)),
    seed: () => randomBytes(32),
    draw: () => randomBytes(4).readUInt32BE(0),
  }).catch((error: unknown) => {
    if (!(error instanceof MeasuringError)) throw error;
    return error.code === 'NODE_BUSY' ? undefined : { because: `${error.code}: ${error.message}` };
  });
  if (seen === undefined) return undefined;
  const evidence = sha256Hex(utf8(challenges.transcript()));
  const value = measurementSchema.parse({ ...base, ...seen, atMs: nowMs(), evidence });
  const envelope = signEnvelope('measurement', value, own.keys.signing);
  await store.putMeasurement({ value, envelope });
  return value;
}
