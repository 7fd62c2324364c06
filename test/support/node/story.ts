import type { Contract } from '../../../src/contract/spec.ts';
import { type VerifiedContract, verifyContract } from '../../../src/contract/verify.ts';
import { SECOND_MS } from '../../../src/lib/units.ts';
import { execute } from '../../../src/node/loop/execution.ts';
import { forget, type Memory, remember } from '../../../src/node/loop/memory.ts';
import { haveOf, lookAround, NO_SIGHT } from '../../../src/node/loop/observation.ts';
import { plan } from '../../../src/node/loop/plan.ts';
import { printPlan } from '../../../src/node/loop/step.ts';
import { type Fetch, wishesOf } from '../../../src/node/wishes.ts';
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

/** One node's days, told by its plans: what people read when they ask why it is stuck. */
export class Story {
  readonly machine = new Machine();
  readonly fetches = new Map<string, Fetch>();
  readonly ends = new Map<string, ZnetEnd>();
  readonly znet = znetIdOf(tenant.id, 'net');
  contracts: readonly VerifiedContract[] = [];
  isClockSynced = true;
  nowMs = NOW_MS;
  #memory: Memory = new Map();
  #text = '';

  /** What people call the ids in it. */
  readonly #names = new Map([
    [this.znet, 'NET'],
    [this.znet.slice(0, 8), 'NET'],
    ['cc'.repeat(32), 'PEER'],
  ]);

  /** A contract as its tenant signed it, under a name for the story. */
  contract(name: string, changes: Partial<Contract>): VerifiedContract {
    const carried = carry(tenant, makeContract(tenant, changes));
    const contract = verifyContract(
      carried,
      (signed) => makeKnowledge({ held: signed.version === 1 ? undefined : signed }),
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
      fetchOf: (sha256) => this.fetches.get(sha256),
      endOf: (node) => this.ends.get(node),
    });
    const busy = new Set<string>();
    const have = haveOf(sight, want, { drivers, busy });
    this.#memory = forget(this.#memory, { want, have, nowMs: this.nowMs });
    const steps = plan({ want, have, memory: this.#memory, nowMs: this.nowMs });
    this.#text += `# ${what}\n${printPlan(steps, this.nowMs)}\n`;
    const outcomes = await execute({
      steps: steps.filter((step) => step.do !== 'wait'),
      want,
      sight,
      drivers,
      busy,
      deadlineMs: SECOND_MS,
      stepsAtOnce: 1,
      clock: () => this.nowMs,
      signal,
    });
    this.#memory = remember(this.#memory, outcomes, () => 1);
  }

  print(): string {
    let text = `${this.#text}# the machine then\n${this.machine.print()}\n`;
    for (const [id, name] of this.#names) text = text.replaceAll(id, name);
    return text;
  }
}
