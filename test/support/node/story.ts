import type { Contract } from '../../../src/contract/spec.ts';
import { type VerifiedContract, verifyContract } from '../../../src/contract/verify.ts';
import { GiB, SECOND_MS } from '../../../src/lib/units.ts';
import { execute } from '../../../src/node/loop/execution.ts';
import { forget, type Memory, type Outcome, remember } from '../../../src/node/loop/memory.ts';
import { haveOf, lookAround, NO_SIGHT } from '../../../src/node/loop/observation.ts';
import { plan } from '../../../src/node/loop/plan.ts';
import type { View } from '../../../src/node/loop/reconcile.ts';
import { openWaits } from '../../../src/node/explain/waits.ts';
import { printPlan } from '../../../src/node/loop/step.ts';
import { volumesIn } from '../../../src/node/volumes/wishes.ts';
import { type Fetch, wishesOf } from '../../../src/node/wishes.ts';
import type { VolumeDisk } from '../../../src/volume/plan.ts';
import { znetIdOf } from '../../../src/znet/address.ts';
import type { ZnetEnd } from '../../../src/znet/spec.ts';
import {
  carry,
  GRID,
  makeContract,
  makeKnowledge,
  makePerson,
  NODE_ID,
  NOW_MS,
} from '../contracts.ts';
import { Machine } from './machine.ts';

const tenant = makePerson('tenant');
const ROOM = { total: { ...makeKnowledge().total, hddBytes: 10 * GiB } };

/** One node's days, told by its plans: what people read when they ask why it is stuck. */
export class Story {
  readonly machine = new Machine();
  readonly fetches = new Map<string, Fetch>();
  readonly ends = new Map<string, ZnetEnd>();
  readonly znet = znetIdOf(tenant.id, 'net');
  /** Contracts that this node knows to be over. */
  readonly over = new Set<string>();
  disks: readonly VolumeDisk[] = [];
  contracts: readonly VerifiedContract[] = [];
  isClockSynced = true;
  mayStart = true;
  /** What steps of earlier passes are still at work on, with what that needs. */
  readonly busy = new Map<string, readonly string[]>();
  nowMs = NOW_MS;
  /** The last look, and since when each thing waits. */
  view: View | undefined;
  readonly waits = openWaits(() => this.nowMs);
  #memory: Memory = new Map();
  #text = '';

  /** What people call the ids in it. */
  readonly #names = new Map([
    [this.znet, 'NET'],
    [this.znet.slice(0, 8), 'NET'],
    ['cc'.repeat(32), 'PEER'],
  ]);

  /** A contract as its tenant signed it, under a name for the story. */
  contract(name: string, changes: Partial<Contract>, body?: string): VerifiedContract {
    const carried = { ...carry(tenant, makeContract(tenant, changes)), body };
    const contract = verifyContract(
      carried,
      (signed) =>
        makeKnowledge({
          isBodyLate: true,
          ...ROOM,
          held: signed.version === 1 ? undefined : signed,
        }),
      GRID,
    );
    this.#names.set(contract.id, name);
    this.#names.set(contract.id.slice(0, 16), name);
    return contract;
  }

  /** An image, fetched or on its way. */
  image(digit: string, fetchedBytes: number, isFetched = false): string {
    const sha256 = digit.repeat(64);
    this.fetches.set(sha256, { isFetched, fetchedBytes, failure: null });
    this.#names.set(sha256, `IMAGE-${digit.toUpperCase()}`);
    this.#names.set(sha256.slice(0, 8), `IMAGE-${digit.toUpperCase()}`);
    return sha256;
  }

  /** Plans, writes it down, and carries it out. */
  async pass(what: string): Promise<void> {
    const drivers = this.machine.drivers();
    const signal = new AbortController().signal;
    const sight = await lookAround(drivers, {
      kinds: new Set(drivers.keys()),
      last: NO_SIGHT,
      deadlineMs: SECOND_MS,
      signal,
    });
    const want = wishesOf({
      node: NODE_ID,
      contracts: this.contracts,
      nowMs: this.nowMs,
      isClockSynced: this.isClockSynced,
      mayStart: this.mayStart,
      fetchOf: (sha256) => this.fetches.get(sha256),
      endOf: (node) => this.ends.get(node),
      volumes: {
        disks: this.disks,
        found: volumesIn(sight),
        isOver: ({ contract }) => this.over.has(contract),
      },
    });
    const busy = new Map(this.busy);
    const outcomes: Outcome[] = [];
    const have = haveOf(sight, want, { drivers, busy });
    this.#memory = forget(this.#memory, { want, have, nowMs: this.nowMs });
    const steps = plan({ want, have, memory: this.#memory, nowMs: this.nowMs });
    const view = { want, have, sight, steps };
    this.waits.take(view);
    this.view = view;
    this.#text += `# ${what}\n${printPlan(steps, this.nowMs)}\n`;
    await execute({
      steps: steps.filter((step) => step.do !== 'wait'),
      want,
      sight,
      drivers,
      busy,
      deadlineMs: SECOND_MS,
      stepsAtOnce: 1,
      clock: () => this.nowMs,
      signal,
      onOutcome: (outcome) => outcomes.push(outcome),
    });
    this.#memory = remember(this.#memory, outcomes, () => 1);
  }

  /** The agent is killed: what it remembered of its tries is gone, the machine stays. */
  forget(): void {
    this.#memory = new Map();
  }

  /** A text with the names that people know in place of ids. */
  named(text: string): string {
    let named = text;
    for (const [id, name] of this.#names) named = named.replaceAll(id, name);
    return named;
  }

  print(): string {
    return this.named(`${this.#text}# the machine then\n${this.machine.print()}\n`);
  }
}
