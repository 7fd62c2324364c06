import { randomBytes } from 'node:crypto';
import { FREE, type Prices } from '../../../src/capacity/price.ts';
import { type Offer, offerSchema, resourcesOf } from '../../../src/capacity/spec.ts';
import { bindingOf, openSecret, opensWith } from '../../../src/contract/checks/body.ts';
import { signAnswer, verifyQuestion } from '../../../src/contract/question.ts';
import { type Heartbeat, type Receipt, receiptSchema } from '../../../src/contract/receipt.ts';
import {
  verifyCancellation,
  type VerifiedContract,
  verifyContract,
} from '../../../src/contract/verify.ts';
import type { Wants } from '../../../src/contract/wants.ts';
import { signIdentity, verifyIdentity } from '../../../src/identity/document.ts';
import { type Envelope, signEnvelope, untrustedPayload } from '../../../src/identity/envelope.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { sha256Hex, textOf, toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf, sentenceOf } from '../../../src/lib/errors.ts';
import { GiB } from '../../../src/lib/units.ts';
import type { OwnClass } from '../../../src/node/bringup/attestation.ts';
import { type Client, openClient } from '../../../src/sdk/client.ts';
import { znetIdOf } from '../../../src/znet/address.ts';

export type JoinFile = {
  readonly grid: string;
  readonly token: Envelope;
  readonly farmer: Envelope;
};

type Workload = Receipt['workloads'][number];

/** How a container is said to stand: what a test scripts. */
export type Script = (container: string, asked: number) => Pick<Workload, 'state' | 'because'>;

export type ScriptedNode = AsyncDisposable & {
  readonly id: string;
  /** Every secret of the contracts that it holds, opened, by `<container>/<name>`. */
  readonly secrets: () => ReadonlyMap<string, string>;
  /** Makes another offer, at these prices. */
  readonly askFor: (prices: Prices) => Promise<void>;
};

export type NodeWish = {
  readonly url: string;
  readonly join: JoinFile;
  readonly memoryBytes?: number;
  readonly script?: Script;
  /** It refuses every contract, with a reason of its own. */
  readonly refuses?: boolean;
  /** What it says to whoever asks why. */
  readonly explanation?: string;
  /** What every container of it has printed. */
  readonly log?: string;
  /** What it says of its starts and its updates. */
  readonly life?: Pick<
    Heartbeat,
    'starts' | 'systemBad' | 'troubles' | 'metrics' | 'boot' | 'cards' | 'isAsleep'
  >;
  /** What its boot is worth; nothing unless told. */
  readonly own?: Pick<OwnClass, 'class' | 'endorsement' | 'attest'>;
};

/**
 * A node without a machine: its keys, offers, checks and receipts are the real ones, and what its
 * containers do is a script.
 */
export async function startNode(wish: NodeWish): Promise<ScriptedNode> {
  const keys = makeSecretKeys();
  const document = signIdentity('node', keys);
  const { id } = verifyIdentity(document);
  const { grid, token, farmer } = wish.join;
  const offer = offerSchema.parse({
    grid,
    node: id,
    version: 1,
    capacity: { cru: 2, mruBytes: wish.memoryBytes ?? GiB, sruBytes: 8 * GiB, hruBytes: 0 },
    class: wish.own?.class ?? 'unverified',
    endorsement: wish.own?.endorsement ?? null,
    prices: FREE,
    termsVersion: 0,
    features: [],
    hardware: { board: '', processor: '', networkCards: [], disks: [] },
  } satisfies Offer);
  const signedOffer = signEnvelope('offer', offer, keys.signing);
  const stop = new AbortController();
  const client = openClient({ baseUrl: wish.url, signal: stop.signal });
  await client.registerNode({ identity: document, token, farmer, offer: signedOffer });
  let seq = 0;
  const numbered = () => {
    seq += 1;
    return { grid, node: id, seq, atMs: Date.now() };
  };
  const beat: Heartbeat = {
    ...numbered(),
    bootId: 'scripted',
    uptimeMs: 1000,
    memory: { totalBytes: GiB, availableBytes: GiB },
    system: null,
    addresses: ['192.0.2.7'],
    stages: [],
    keyKept: 'memory',
    agentStarts: 1,
    ...wish.life,
  };
  await client.putHeartbeat(signEnvelope('heartbeat', beat, keys.signing));
  const send = async (said: Omit<Receipt, 'grid' | 'node' | 'seq' | 'atMs'>): Promise<void> => {
    const receipt = receiptSchema.parse({ ...numbered(), ...said });
    await client.putReceipt(signEnvelope('receipt', receipt, keys.signing));
  };
  const agent = new Agent({ wish, client, send, keys, id, offer, signedOffer, grid });
  const running = agent.run(stop.signal);
  return {
    id,
    secrets: () => agent.secrets(),
    askFor: async (prices) => {
      const next = signEnvelope('offer', { ...offer, version: 2, prices }, keys.signing);
      await client.registerNode({ identity: document, token, farmer, offer: next });
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

type AgentParts = {
  readonly wish: NodeWish;
  readonly client: Client;
  readonly send: (said: Omit<Receipt, 'grid' | 'node' | 'seq' | 'atMs'>) => Promise<void>;
  readonly keys: ReturnType<typeof makeSecretKeys>;
  readonly id: string;
  readonly grid: string;
  readonly offer: Offer;
  readonly signedOffer: Envelope;
};

class Agent {
  readonly #parts: AgentParts;
  readonly #held = new Map<string, VerifiedContract>();
  readonly #asked = new Map<string, number>();
  readonly #done = new Set<string>();

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  secrets(): ReadonlyMap<string, string> {
    const { grid, id: node, keys } = this.#parts;
    const found = new Map<string, string>();
    for (const { tenant, private: body } of this.#held.values()) {
      for (const [key, sealed] of Object.entries(body?.secrets ?? {})) {
        const [container = '', name = ''] = key.split('/');
        const binding = bindingOf({ grid, tenant, node, container, name });
        found.set(key, textOf(openSecret(keys.sealing.secretKey, { sealed, binding })));
      }
    }
    return found;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { client, grid, id, keys } = this.#parts;
    let after = 0;
    while (!signal.aborted) {
      try {
        const signing = { grid, node: id, signer: keys.signing, nowMs: () => Date.now() };
        const wants = await client.wants(signing, { after, waitMs: 200 });
        if (wants !== null) {
          after = wants.revision;
          await this.#take(wants);
        }
        await this.#tell();
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  async #take(wants: Wants): Promise<void> {
    const { grid, id, send } = this.#parts;
    for (const carried of wants.contracts) {
      const digest = sha256Hex(untrustedPayload(carried.contract, 'contract'));
      if (this.#done.has(digest)) continue;
      this.#done.add(digest);
      try {
        const contract = this.#verify(carried);
        if (this.#parts.wish.refuses === true) throw new Error('It rains in here.');
        this.#held.set(contract.id, contract);
        this.#asked.set(contract.id, 0);
      } catch (error) {
        const refusal = { code: codeOf(error), sentence: sentenceOf(error) };
        const about = { contract: digest, version: 1, digest, workloads: [], znetEnds: [] };
        await send({ ...about, state: 'refused', refusal });
      }
    }
    for (const carried of wants.cancellations) {
      const { contract: ended } = verifyCancellation(carried, grid);
      const held = this.#held.get(ended);
      if (held === undefined) continue;
      this.#held.delete(ended);
      const { version, digest } = held;
      const about = { contract: ended, version, digest, workloads: [], znetEnds: [] };
      await send({ ...about, state: 'ended' });
    }
    for (const carried of wants.questions) await this.#answer(carried, { grid, node: id });
  }

  #verify(carried: Wants['contracts'][number]): VerifiedContract {
    const { grid, id, offer, signedOffer } = this.#parts;
    const know = (contract: { id: string }) => ({
      grid,
      node: id,
      nowMs: Date.now(),
      offers: new Map([[sha256Hex(untrustedPayload(signedOffer, 'offer')), offer.prices]]),
      total: resourcesOf(offer.capacity),
      usedByOthers: { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 },
      held: this.#held.get(contract.id),
      isCancelled: false,
      class: offer.class,
      record: 'own' as const,
      opens: opensWith(this.#parts.keys.sealing.secretKey),
    });
    return verifyContract(carried, know, grid);
  }

  async #tell(): Promise<void> {
    const { wish, send } = this.#parts;
    for (const contract of this.#held.values()) {
      const asked = this.#asked.get(contract.id) ?? 0;
      this.#asked.set(contract.id, asked + 1);
      const workloads = contract.workloads.map(({ kind, name }): Workload => {
        const said = wish.script?.(name, asked) ?? { state: 'running', because: '' };
        return kind !== 'container'
          ? { kind, name, state: 'running', because: '' }
          : { kind, name, ...said };
      });
      const isRunning = workloads.every(({ state }) => state === 'running');
      if (asked > 5) continue;
      await send({
        contract: contract.id,
        version: contract.version,
        digest: contract.digest,
        state: isRunning ? 'running' : 'accepted',
        workloads,
        znetEnds: this.#ends(contract),
      });
    }
  }

  #ends(contract: VerifiedContract): Receipt['znetEnds'] {
    return contract.workloads.flatMap(({ kind, name }) => {
      if (kind !== 'znet') return [];
      const publicKey = toBase64(randomBytes(32));
      const znet = znetIdOf(contract.tenant, name);
      return [{ znet, publicKey, port: 40_000, addresses: ['192.0.2.7'] }];
    });
  }

  async #answer(
    carried: Wants['questions'][number],
    here: { readonly grid: string; readonly node: string },
  ): Promise<void> {
    const { client, wish, keys } = this.#parts;
    const question = verifyQuestion(carried, { ...here, nowMs: Date.now() });
    if (this.#done.has(question.id)) return;
    this.#done.add(question.id);
    if (question.ask === 'attest') {
      const evidence = await wish.own?.attest(question);
      if (evidence === undefined) return;
      await client.putAnswer(signAnswer(question, evidence, keys.signing));
      return;
    }
    if (question.ask === 'explain' && wish.explanation !== undefined) {
      await client.putAnswer(signAnswer(question, utf8(wish.explanation), keys.signing));
    }
    if (question.ask === 'power') {
      const said = { isDone: true, sentence: `Asked to ${JSON.stringify(question.order)}.` };
      await client.putAnswer(signAnswer(question, utf8(JSON.stringify(said)), keys.signing));
    }
    if (question.ask !== 'logs') return;
    const held = this.#held.get(question.contract);
    if (held?.tenant !== question.tenant) return;
    await client.putAnswer(signAnswer(question, utf8(wish.log ?? ''), keys.signing));
  }
}
