import { containerIdOf } from '../container/plan.ts';
import { volumeIdOf } from '../volume/plan.ts';
import type { Receipt, WorkloadState } from '../contract/receipt.ts';
import type { SignedContract, VerifiedContract } from '../contract/verify.ts';
import { formatDuration } from '../lib/units.ts';
import { znetIdOf } from '../znet/address.ts';
import type { ZnetEnd } from '../znet/spec.ts';
import type { Refusal } from './holdings.ts';
import type { Meters } from './meter/meters.ts';
import { type Key, keyOf } from './loop/graph.ts';
import { GAVE_UP_MS } from './loop/memory.ts';
import type { View } from './loop/reconcile.ts';
import type { WaitStep } from './loop/step.ts';

/** A receipt without what numbers and dates it. */
export type Statement = Omit<Receipt, 'grid' | 'node' | 'seq' | 'atMs'>;

export type Known = {
  readonly view: View;
  readonly held: Iterable<VerifiedContract>;
  readonly refused: Iterable<Refusal>;
  readonly ended: Iterable<SignedContract>;
  /** Of a container that runs: what the kernel shows. */
  readonly processOf: (id: string) => { pid: number; startedAtMs: number } | undefined;
  /** Of a znet that stands: this node's end of it. */
  readonly endOf: (znet: string) => ZnetEnd | undefined;
  /** What a contract used so far, as far as it may be told. */
  readonly meters: Pick<Meters, 'meterOf' | 'isSettled'>;
};

/** What this node has to say of every contract it knows; pure. */
export function statementsOf(known: Known): readonly Statement[] {
  return [
    ...[...known.refused].map(refusedStatement),
    ...[...known.held].map((contract) => heldStatement(contract, known)),
    ...[...known.ended].flatMap((contract) => endedStatement(contract, known)),
  ];
}

function refusedStatement({ contract, version, digest, code, sentence }: Refusal): Statement {
  const refusal = { code: code.slice(0, 60), sentence: sentence.slice(0, SENTENCE_MAX) };
  return { contract, version, digest, state: 'refused', refusal, workloads: [], znetEnds: [] };
}

const SENTENCE_MAX = 500;

function heldStatement(contract: VerifiedContract, known: Known): Statement {
  const { id, version, digest } = contract;
  const workloads = contract.workloads.map((workload): WorkloadState => {
    const { kind, name } = workload;
    if (kind === 'znet')
      return { kind, name, ...znetState(znetIdOf(contract.tenant, name), known) };
    if (kind === 'volume') return { kind, name, ...volumeState(volumeIdOf(id, name), known) };
    return { kind, name, ...containerState(containerIdOf(id, name), known) };
  });
  const isRunning = workloads.every(({ state }) => state === 'running');
  const znetEnds = contract.workloads.flatMap(({ kind, name }) => {
    const end = kind === 'znet' ? known.endOf(znetIdOf(contract.tenant, name)) : undefined;
    return end === undefined ? [] : [end];
  });
  const state = isRunning ? 'running' : 'accepted';
  return { contract: id, version, digest, state, workloads, znetEnds, ...meterOf(id, known) };
}

function meterOf(id: string, { meters }: Known): Pick<Statement, 'meter'> {
  const meter = meters.meterOf(id);
  return meter === undefined ? {} : { meter };
}

/** An ended contract is told of when nothing of it runs any more. */
function endedStatement(
  { id, version, digest }: SignedContract,
  known: Known,
): readonly Statement[] {
  const { have } = known.view;
  const prefixes = [`container ${containerIdOf(id, '')}`, `volume ${volumeIdOf(id, '')}`];
  const isGone = ![...have.found.keys()].some((key) =>
    prefixes.some((prefix) => key.startsWith(prefix)),
  );
  const isUnseen = have.unseen.has('container') || have.unseen.has('volume');
  if (!isGone || isUnseen || !known.meters.isSettled(id)) return [];
  const about = { contract: id, version, digest, workloads: [], znetEnds: [] };
  return [{ ...about, state: 'ended', ...meterOf(id, known) }];
}

type Told = Omit<WorkloadState, 'kind' | 'name'>;

function containerState(id: string, known: Known): Told {
  const key = keyOf({ kind: 'container', id });
  const process = known.processOf(id);
  const hold = holdOf(key, known.view);
  if (process === undefined) return told(key, known.view, hold);
  const change = known.view.have.found.get(key)?.difference?.change ?? 'none';
  if (change === 'none') return { state: 'running', because: '', ...process };
  // What runs is not what is wanted: an earlier version, until the new one can take its place.
  return { ...told(key, known.view, hold), ...process };
}

function znetState(id: string, known: Known): Told {
  const key = keyOf({ kind: 'znet', id });
  const hold = holdOf(key, known.view);
  const isThere = known.endOf(id) !== undefined;
  return isThere && hold === undefined
    ? { state: 'running', because: '' }
    : told(key, known.view, hold);
}

function volumeState(id: string, known: Known): Told {
  const key = keyOf({ kind: 'volume', id });
  const hold = holdOf(key, known.view);
  const isOpen = known.view.have.found.get(key)?.difference?.change === 'none';
  return isOpen && hold === undefined
    ? { state: 'running', because: '' }
    : told(key, known.view, hold);
}

function told(key: Key, { steps, have }: View, hold: WaitStep | undefined): Told {
  if (hold?.because === 'busy') {
    const because = have.found.get(key)?.difference?.because ?? 'missing';
    return { state: 'waiting', because: `is being made: ${because}` };
  }
  if (hold !== undefined) {
    const state = hold.because === 'gave-up' ? 'failed' : 'waiting';
    return { state, because: sentenceOf(hold) };
  }
  const step = steps.find((candidate) => keyOf(candidate) === key);
  const because = step?.because ?? have.found.get(key)?.difference?.because ?? 'not seen yet';
  return { state: 'waiting', because: `is being made: ${because}` };
}

function holdOf(key: Key, { steps }: View): WaitStep | undefined {
  return steps.find((step) => step.do === 'wait' && keyOf(step) === key) as WaitStep | undefined;
}

function sentenceOf({ because, sentence }: WaitStep): string {
  const text = because === 'item' || because === 'fact' || because === 'hope' ? 'waits for ' : '';
  const again =
    because === 'gave-up' ? `; given up, tried again in ${formatDuration(GAVE_UP_MS)}` : '';
  return shortIds(`${text}${sentence}${again}`).slice(0, SENTENCE_MAX);
}

/** Ids in texts for people: the first twelve digits tell them apart. */
export function shortIds(text: string): string {
  return text.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/gu, '$1');
}
