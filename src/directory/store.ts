import type { Floor } from '../artifact/release/floor.ts';
import type { Measurement } from '../capacity/measured/spec.ts';
import type { CapacityWish } from '../capacity/search.ts';
import type { Feature, NodeClass, Offer } from '../capacity/spec.ts';
import type { VerifiedTerms } from '../capacity/farm/terms.ts';
import type { AskedQuestion } from '../contract/question.ts';
import type { Heartbeat, Receipt } from '../contract/receipt.ts';
import type { Answer, Question } from '../contract/spec.ts';
import type { DueWish } from './capacity/measurements.ts';
import type { SignedCancellation, SignedContract, SignedErasure } from '../contract/verify.ts';
import type { Wants } from '../contract/wants.ts';
import type { VerifiedConsent } from '../disk/consent.ts';
import type { Standing } from './disks/leases.ts';
import type { IdentityBundle } from '../identity/bundle.ts';
import type { Identity } from '../identity/document.ts';
import type { Envelope } from '../identity/envelope.ts';
import type { Approval, Farm, JoinToken, Named } from '../identity/farm.ts';
import type { Judgement } from '../rollout/spec.ts';
import type { SignedTurnWish, VerifiedPolicy } from '../rollout/verify.ts';
import type {
  AdmissionAnswer,
  ContractAnswer,
  ContractSummary,
  FarmAnswer,
  NodeAnswer,
  Proof,
  ReleaseBody,
  UpdatesAnswer,
} from '../sdk/api.ts';
import type { Registration } from '../sdk/registration.ts';
import type { NameAnswer, NameSummary, WaitingMessage } from '../sdk/phonebook/api.ts';
import type { Posted } from './phonebook/mailboxes.ts';
import type { NameEntry, NamesFilter } from './phonebook/names.ts';
import type { PublishedRelease } from './release/store.ts';

/** Something that was checked, with the envelope that it came in. */
export type Carried<T> = { readonly value: T; readonly envelope: Envelope };
/** Somebody who was checked, with the bundle that they came in. */
export type CarriedIdentity = { readonly value: Identity; readonly envelope: IdentityBundle };

export type Page = { readonly cursor: number; readonly limit: number };
export type PageOf<T> = { items: T[]; next: number | null };

export type NodeEntry = {
  readonly identity: CarriedIdentity;
  readonly offer: Carried<Named<Offer>>;
  /** A join token whose signature holds; whether it is used up or past is the store's to say. */
  readonly token: Named<JoinToken> | null;
  /** Who signed the token. */
  readonly farmer: Identity | null;
  readonly nowMs: number;
};

/** What is asked of a node's capacity; zero, nothing or false does not matter. */
export type CapacitySearch = CapacityWish & {
  readonly country?: string | undefined;
  readonly farm?: string | undefined;
  readonly class?: NodeClass | undefined;
  readonly features: readonly Feature[];
  readonly isOnline: boolean;
  /** The most that what is asked for may cost an hour, in millionths. */
  readonly hourMicrosMax?: number | undefined;
};

export type ContractFilter = {
  readonly tenant?: string | undefined;
  readonly node?: string | undefined;
};

/**
 * What the directory keeps. Every call that writes is one transaction, and what it accepted is on
 * the disk before it returns. Whoever can write to what lies below can hide, delay or forget
 * envelopes, and show a node as joined or free that is not; they can't make a node run anything,
 * nor a tenant believe a receipt, because both check every signature again.
 *
 * Calls that refuse throw `RefusedError`, `ContractError` or `FarmError` and have changed nothing.
 */
export type Store = {
  /** Called after a commit with the nodes whose wants changed, by this process or another. */
  readonly onChange: (listener: (nodes: readonly string[] | 'all') => void) => void;

  readonly putIdentity: (identity: CarriedIdentity, nowMs: number) => Promise<void>;
  readonly identity: (id: string) => Promise<IdentityBundle | undefined>;

  readonly putFarm: (
    farm: Carried<Named<Farm>>,
    farmer: CarriedIdentity,
    nowMs: number,
  ) => Promise<void>;
  readonly farms: (page: Page) => Promise<PageOf<FarmAnswer>>;

  readonly putMeasurement: (measurement: Carried<Measurement>) => Promise<void>;
  /** Nodes that it is time to measure, each given away once. */
  readonly claimDue: (wish: DueWish) => Promise<string[]>;
  readonly openQuestion: (id: string, nowMs: number) => Promise<Question | undefined>;
  readonly farm: (id: string) => Promise<FarmAnswer | undefined>;
  readonly putTerms: (terms: Carried<VerifiedTerms>, farmer: IdentityBundle) => Promise<void>;
  /** The joined nodes that have what is asked for. */
  readonly capacity: (
    search: CapacitySearch,
    page: Page,
    nowMs: number,
  ) => Promise<PageOf<NodeAnswer>>;

  /** The document of a farm's farmer, or `undefined` when there is no such farm. */
  readonly farmer: (farm: string) => Promise<IdentityBundle | undefined>;
  readonly putUpdatePolicy: (
    policy: Carried<VerifiedPolicy>,
    farmer: IdentityBundle,
  ) => Promise<void>;
  /** Whether a node may change to another release now; what is granted is booked. */
  readonly takeTurn: (wish: SignedTurnWish, nowMs: number) => Promise<Judgement>;
  readonly updates: (farm: string) => Promise<UpdatesAnswer | undefined>;

  readonly registerNode: (entry: NodeEntry) => Promise<Registration>;
  /** Lets a node that waits join the farm of whoever signed that. */
  readonly approveNode: (approval: Carried<Approval>) => Promise<Registration>;
  /** What a farmer signed about a node, if it joined so. */
  readonly approval: (node: string) => Promise<Envelope | undefined>;
  /** The first two nodes whose ids begin with these digits. */
  readonly nodesBy: (prefix: string) => Promise<string[]>;
  readonly node: (id: string) => Promise<NodeAnswer | undefined>;
  readonly nodes: (page: Page) => Promise<PageOf<NodeAnswer>>;
  readonly putProof: (node: string, proof: Proof) => Promise<void>;
  readonly putHeartbeat: (heartbeat: Carried<Heartbeat>, nowMs: number) => Promise<Standing>;
  readonly putConsent: (
    consent: Carried<VerifiedConsent>,
    farmer: IdentityBundle,
    nowMs: number,
  ) => Promise<void>;

  readonly admitContract: (entry: {
    readonly contract: Carried<SignedContract>;
    readonly tenant: IdentityBundle;
    readonly body?: string | undefined;
    readonly nowMs: number;
  }) => Promise<AdmissionAnswer & { readonly isNew: boolean }>;
  readonly contract: (id: string) => Promise<ContractAnswer | undefined>;
  readonly contracts: (filter: ContractFilter, page: Page) => Promise<PageOf<ContractSummary>>;
  readonly cancelContract: (entry: {
    readonly cancellation: Carried<SignedCancellation>;
    readonly tenant: IdentityBundle;
    readonly nowMs: number;
  }) => Promise<void>;
  readonly eraseBody: (erasure: Carried<SignedErasure>, nowMs: number) => Promise<void>;
  readonly putReceipt: (receipt: Carried<Receipt>, nowMs: number) => Promise<void>;

  readonly ask: (entry: {
    readonly question: Carried<AskedQuestion>;
    /** The document of who asks. */
    readonly asker: IdentityBundle;
    readonly nowMs: number;
  }) => Promise<void>;
  readonly putAnswer: (answer: Carried<Answer>, nowMs: number) => Promise<void>;
  /** The answer; `null` while there is none; `undefined` when there is no such open question. */
  readonly answer: (question: string, nowMs: number) => Promise<Envelope | null | undefined>;

  /** Whom a name is for, from its first claim on; throws `NameError`. */
  readonly putName: (entry: NameEntry) => Promise<void>;
  readonly name: (name: string) => Promise<NameAnswer | undefined>;
  readonly names: (filter: NamesFilter, page: Page) => Promise<PageOf<NameSummary>>;
  readonly putMessage: (posted: Posted) => Promise<void>;
  readonly messages: (
    recipient: string,
    page: Page & { readonly nowMs: number },
  ) => Promise<PageOf<WaitingMessage>>;
  readonly dropMessages: (recipient: string, seq: number) => Promise<void>;

  /** Everything for one node as it is now, or `undefined` when no such node has registered. */
  readonly wants: (node: string, nowMs: number) => Promise<Wants | undefined>;
  readonly revision: (node: string) => Promise<number | undefined>;
  /** Whether this nonce is the node's first; remembered until `untilMs`. */
  readonly claimNonce: (claim: {
    readonly node: string;
    readonly nonce: string;
    readonly untilMs: number;
  }) => Promise<boolean>;

  /** Takes what a node would take, unless it is older; throws `ArtifactError`. */
  readonly putRelease: (published: PublishedRelease) => Promise<Floor>;
  /** What nodes must not go below; `null` before the first release was published here. */
  readonly lowestRelease: () => Promise<Floor | null>;
  /** What was published last, whole; `null` before the first. */
  readonly publishedRelease: () => Promise<ReleaseBody | null>;

  /** Carries out what time alone changes: reservations that lapse, contracts and turns that end. */
  readonly sweep: (nowMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
};
