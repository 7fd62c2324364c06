import { addResources, type NodeClass, NO_RESOURCES, type Resources } from '../capacity/spec.ts';
import type { Prices } from '../capacity/price.ts';
import type { Opens } from '../contract/checks/body.ts';
import type { ContractStore, Kept } from '../contract/store.ts';
import {
  type NodeKnowledge,
  type CarriedCancellation,
  type SignedContract,
  verifyCancellation,
  type VerifiedContract,
  verifyContract,
  verifySignedContract,
} from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import type { IdentityBundle } from '../identity/bundle.ts';
import { type Envelope, untrustedPayload } from '../identity/envelope.ts';
import { sha256Hex } from '../lib/bytes.ts';
import { codeOf, sentenceOf } from '../lib/errors.ts';
import { DAY_MS } from '../lib/units.ts';
import { openTenants } from './identity/tenants.ts';
import { digestOf, signedOrNothing } from './record/carried.ts';
import { placeWants } from './record/places.ts';
import type { RecordWatch } from './record/watch.ts';
import { openPeers, type Peers } from './peers.ts';

/** A contract that failed a check, as it is told to the directory. */
export type Refusal = {
  readonly contract: string;
  readonly version: number;
  readonly digest: string;
  readonly code: string;
  readonly sentence: string;
};

/** Everything signed that this node goes by. */
export type Holdings = {
  readonly held: ReadonlyMap<string, VerifiedContract>;
  /** By the digest of the payload that was refused. */
  readonly refused: ReadonlyMap<string, Refusal>;
  /** Cancelled or past their end, and not yet told to the directory. */
  readonly ended: ReadonlyMap<string, SignedContract>;
  readonly peers: Peers;
  /**
   * Takes in what the directory has; one bad thing changes nothing and holds up nothing. Throws
   * only when something good could not be stored.
   */
  readonly take: (wants: Wants, nowMs: number) => Promise<void>;
  /** Obeys a cancellation, whoever handed it over; throws when its tenant did not sign it. */
  readonly cancel: (carried: CarriedCancellation, nowMs: number) => Promise<void>;
  /** Ends what is past its end; only with a clock that can be trusted. */
  readonly expire: (nowMs: number) => void;
  /** Whether a contract that is not held is known to be over. */
  readonly isOver: (whose: { readonly contract: string; readonly tenant: string }) => boolean;
  /** The directory knows that it ended. */
  readonly forget: (contract: string) => Promise<void>;
};

export type HoldingsParts = {
  readonly store: ContractStore;
  readonly grid: string;
  readonly node: string;
  /** What the offer that this node makes now asks, by the SHA-256 of its payload. */
  readonly standing: () => ReadonlyMap<string, Prices>;
  readonly total: Resources;
  /** The class of this boot. */
  readonly class: NodeClass;
  /** Whose record has to hold every contract. */
  readonly watch: RecordWatch;
  /** Whether what is sealed opens with this node's key. */
  readonly opens: Opens;
  readonly onBad: (what: string, error: unknown) => void;
};

/** So long a cancellation is kept: longer than any contract that it could end. */
const CANCELLATION_MS_KEPT = 400 * DAY_MS;

/**
 * Opens what the node holds, checking each stored thing anew. Time is not checked here, because the
 * clock may not be right yet: nothing starts before it is, and then `expire` ends what is over.
 */
export async function openHoldings(parts: HoldingsParts): Promise<Holdings> {
  const holdings = new Ledger(parts);
  await holdings.load();
  return holdings;
}

class Ledger implements Holdings {
  readonly held = new Map<string, VerifiedContract>();
  readonly refused = new Map<string, Refusal>();
  readonly ended = new Map<string, SignedContract>();
  readonly peers: Peers;
  /** `<contract> <tenant>`: a stranger's cancellation of somebody else's contract is none. */
  readonly #cancelled = new Set<string>();
  /** The digests of all cancellations that were obeyed. */
  readonly #endings = new Set<string>();
  readonly #over = new Set<string>();
  readonly #tenants = openTenants();
  readonly #parts: HoldingsParts;

  constructor(parts: HoldingsParts) {
    this.#parts = parts;
    this.peers = openPeers({ ...parts, held: this.held });
  }

  async load(): Promise<void> {
    const { store, onBad, grid } = this.#parts;
    const { kept, damaged } = await store.load();
    for (const name of damaged) onBad(name, new Error('It is damaged and was left where it is.'));
    for (const { kind, name, signed, signer } of kept) {
      if (kind !== 'cancellation') continue;
      await this.#guard(`stored cancellation ${name}`, async () => {
        const carried = { cancellation: signed, tenant: signer };
        const { contract, tenant, signers } = verifyCancellation(carried, grid);
        this.#tenants.recall(signers);
        this.#cancelled.add(`${contract} ${tenant}`);
        this.#endings.add(sha256Hex(untrustedPayload(signed, 'cancellation')));
      });
    }
    for (const { kind, name, ...stored } of kept) {
      if (kind !== 'contract') continue;
      await this.#guard(`stored contract ${name}`, async () => this.#reload(stored));
    }
    for (const { kind, name, signed, signer } of kept) {
      if (kind !== 'peer') continue;
      await this.#guard(`stored peer ${name}`, async () => this.peers.reload(signed, signer));
    }
  }

  async take(wants: Wants, nowMs: number): Promise<void> {
    for (const carried of wants.cancellations) {
      await this.#guard('cancellation', async () => {
        await this.cancel(carried, nowMs);
      });
    }
    const { watch, node, onBad } = this.#parts;
    const isObeyed = (digest: string): boolean => this.#endings.has(digest);
    await placeWants({ watch, node, isObeyed, onBad }, wants);
    const listed = new Set<string>();
    const unkept: unknown[] = [];
    for (const { contract, tenant, body, seq, proof } of wants.contracts) {
      const digest = digestOf(contract);
      listed.add(digest);
      const kept = { signed: contract, signer: tenant, body, place: { seq, proof } };
      await this.#accept(kept, digest, nowMs).catch((error: unknown) => unkept.push(error));
    }
    for (const digest of this.refused.keys()) if (!listed.has(digest)) this.refused.delete(digest);
    for (const { receipt, node } of wants.peers) {
      await this.#guard('peer', async () => this.peers.take(receipt, node));
    }
    // A good contract that the disk did not take is no bad contract: it has to come again.
    if (unkept.length > 0) throw unkept[0];
  }

  expire(nowMs: number): void {
    for (const contract of this.held.values())
      if (nowMs >= contract.notAfterMs) this.#end(contract);
  }

  async forget(contract: string): Promise<void> {
    this.ended.delete(contract);
    await this.#parts.store.remove({ kind: 'contract', name: contract });
  }

  async #reload(kept: Kept): Promise<void> {
    const { grid } = this.#parts;
    const carried = { contract: kept.signed, tenant: kept.signer, body: kept.body };
    const known = verifySignedContract(carried, grid);
    this.#tenants.recall(known.signers);
    if (this.#isCancelled(known)) {
      this.ended.set(known.id, known);
      return;
    }
    const know = (contract: SignedContract): NodeKnowledge => ({
      ...this.#knowledge(contract),
      record: this.#recordOf(kept),
      nowMs: contract.notBeforeMs,
      held: contract,
      isBodyLate: true,
    });
    this.held.set(known.id, verifyContract(carried, know, grid));
  }

  async cancel(carried: CarriedCancellation, nowMs: number): Promise<void> {
    const { grid, node, store } = this.#parts;
    const { cancellation: signed, tenant: signer } = carried;
    const cancellation = verifyCancellation(carried, grid);
    const { contract, tenant } = cancellation;
    const mark = `${contract} ${tenant}`;
    this.#endings.add(sha256Hex(untrustedPayload(signed, 'cancellation')));
    if (this.#cancelled.has(mark)) return;
    if (cancellation.node !== node || nowMs - cancellation.atMs > CANCELLATION_MS_KEPT) return;
    this.#tenants.take(cancellation.signers, nowMs);
    // On the disk first: what ended once does not come back with the power.
    await store.put({ kind: 'cancellation', name: `${contract}-${tenant}` }, { signed, signer });
    this.#cancelled.add(mark);
    const held = this.held.get(contract);
    if (held?.tenant === tenant) this.#end(held);
  }

  async #accept(kept: Kept, digest: string, nowMs: number): Promise<void> {
    const { grid, store } = this.#parts;
    const carried = { contract: kept.signed, tenant: kept.signer, body: kept.body };
    const know = (contract: SignedContract): NodeKnowledge => ({
      ...this.#knowledge(contract),
      record: this.#recordOf(kept),
      nowMs,
    });
    for (const held of this.held.values()) {
      // What it grew out of is listed until the directory has heard of its end.
      if (held.previous === digest) return;
      const isLate = held.body !== null && held.private === null && kept.body !== undefined;
      if (held.digest === digest && !isLate) return;
    }
    let contract: VerifiedContract;
    try {
      contract = verifyContract(carried, know, grid);
      this.#tenants.take(contract.signers, nowMs);
    } catch (error) {
      this.#refuse(carried, digest, error);
      return;
    }
    // Who tells two histories is given no new work; what is held was proven before.
    if (this.#parts.watch.alarm()) return;
    await store.put({ kind: 'contract', name: contract.id }, kept);
    this.held.set(contract.id, contract);
    this.refused.delete(digest);
  }

  #refuse(
    carried: { contract: Envelope; tenant: IdentityBundle },
    digest: string,
    error: unknown,
  ): void {
    const known = signedOrNothing(carried, this.#parts.grid);
    if (known !== undefined && this.#over.has(known.id)) return;
    if (known !== undefined && codeOf(error) === 'CONTRACT_CANCELLED') {
      this.ended.set(known.id, known);
      this.#over.add(known.id);
      return;
    }
    if (this.refused.get(digest)?.code === codeOf(error)) return;
    // A thing that nobody is known to have signed is named by its own hash, whatever it says it is.
    const { id: contract, version } = known ?? { id: digest, version: 1 };
    const refusal = { contract, version, digest, code: codeOf(error), sentence: sentenceOf(error) };
    this.refused.set(digest, refusal);
    this.#parts.onBad(`contract ${contract}`, error);
  }

  #end(contract: SignedContract): void {
    this.held.delete(contract.id);
    this.ended.set(contract.id, contract);
    this.#over.add(contract.id);
  }

  // Handed on by itself.
  readonly isOver: Holdings['isOver'] = ({ contract, tenant }) =>
    this.#over.has(contract) ||
    this.ended.has(contract) ||
    this.#cancelled.has(`${contract} ${tenant}`);

  #isCancelled({ id, tenant }: SignedContract): boolean {
    return this.#cancelled.has(`${id} ${tenant}`);
  }

  #knowledge(contract: SignedContract): Omit<NodeKnowledge, 'nowMs' | 'record'> {
    const { grid, node, standing, total, opens, class: nodeClass } = this.#parts;
    const others = [...this.held.values()].filter(({ id }) => id !== contract.id);
    const usedByOthers = others.reduce(
      (sum, { resources }) => addResources(sum, resources),
      NO_RESOURCES,
    );
    return {
      grid,
      node,
      offers: standing(),
      total,
      usedByOthers,
      held: this.held.get(contract.id),
      isCancelled: this.#isCancelled(contract),
      class: nodeClass,
      opens,
    };
  }

  #recordOf({ place }: Kept): NodeKnowledge['record'] {
    return { ...place, policy: this.#parts.watch.policy };
  }

  async #guard(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.onBad(what, error);
    }
  }
}
