import { bundleSchema, type IdentityBundle } from '../../../src/identity/bundle.ts';
import type { Prices } from '../../../src/capacity/price.ts';
import type { NodeClass, Resources } from '../../../src/capacity/spec.ts';
import { opensWith } from '../../../src/contract/checks/body.ts';
import type { Workload } from '../../../src/contract/spec.ts';
import { type NodeKnowledge, verifyContract } from '../../../src/contract/verify.ts';
import { parseEnvelope } from '../../../src/identity/envelope.ts';
import { fromBase64, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { parsePolicy } from '../../../src/record/policy.ts';

/** What a node knows, as a file can say it. */
export type Known = {
  readonly id: string;
  readonly nowMs: number;
  /** Prices by offer. */
  readonly offers: Readonly<Record<string, Prices>>;
  readonly total: Resources;
  readonly usedByOthers: Resources;
  readonly held: {
    readonly tenant: string;
    readonly version: number;
    readonly digest: string;
    /** Where it has volumes, which only grow. */
    readonly workloads?: readonly Workload[];
  } | null;
  readonly isCancelled: boolean;
  readonly class: NodeClass;
  /** Base64 of the X25519 secret key that opens what is sealed to the node. */
  readonly sealingSecret: string;
  /** The C2SP policy that the node trusts. */
  readonly policy: string;
};

/** One input of the checks of a contract, and what becomes of it. */
export type Vector = {
  /** The number of the check in the README that it is for. */
  readonly check: number;
  readonly is: 'good' | 'bad';
  readonly reason: string;
  /** `verified`, or the code of the refusal. */
  readonly expect: string;
  readonly grid: string;
  /** The envelope as it travels, and so many spaces before it. */
  readonly contract: string;
  readonly spacesBefore?: number;
  /** The tenant's identity. */
  readonly tenant: IdentityBundle;
  /** The private body, in base64. */
  readonly body?: string;
  /** What is said of its place on the record. */
  readonly seq: number | null;
  readonly proof: string | null;
  readonly node: Known;
};

/** The name of a vector's file. */
export function fileNameOf({ check, is, reason }: Vector): string {
  return `${String(check).padStart(2, '0')}-${is}-${reason}.json`;
}

/** What this node makes of a vector: `verified`, or the code of the refusal. */
export function verdictOf(vector: Vector): string {
  const { contract, tenant, body, grid } = vector;
  const text = ' '.repeat(vector.spacesBefore ?? 0) + contract;
  try {
    const carried = {
      contract: parseEnvelope(utf8(text)),
      tenant: bundleSchema.parse(tenant),
      body,
    };
    verifyContract(carried, () => knowledgeOf(vector), grid);
    return 'verified';
  } catch (error) {
    return codeOf(error);
  }
}

function knowledgeOf({ grid, node, seq, proof }: Vector): NodeKnowledge {
  const { id, offers, held, sealingSecret, policy, ...plain } = node;
  return {
    ...plain,
    grid,
    node: id,
    offers: new Map(Object.entries(offers)),
    held: held ?? undefined,
    opens: opensWith(fromBase64(sealingSecret) ?? new Uint8Array()),
    record: { policy: parsePolicy(utf8(policy)), seq: seq ?? undefined, proof },
  };
}
