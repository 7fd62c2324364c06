import { readText, writeDurably } from '../../host/files.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { type Envelope, parseEnvelope } from '../../identity/envelope.ts';
import { verifyJoinToken } from '../../identity/farm.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';
import {
  refuseOlderPolicy,
  type VerifiedPolicy,
  verifyUpdatePolicy,
} from '../../rollout/verify.ts';

const FILE_BYTES_MAX = 64 * KiB;

/** The farmer's word on updates, as this node holds it. */
export type PolicyHolder = {
  readonly current: () => VerifiedPolicy | null;
  /** Takes a newer one in; throws what the checks throw, and then the one of before stays. */
  readonly take: (policy: Envelope) => Promise<void>;
};

export type PolicyParts = {
  readonly path: string;
  readonly grid: string;
  /** From the boot media: whose farm the node is in is the farmer's own signed word. */
  readonly token: Envelope | null;
  readonly farmer: IdentityBundle | null;
  readonly onBad: (what: string, error: unknown) => void;
};

/**
 * Opens the newest policy that this node ever held. Who can write the file can take it away, so
 * that an older one would be taken again, as long as the directory has one; nobody but the farmer
 * can make one.
 */
export async function openPolicy(parts: PolicyParts): Promise<PolicyHolder> {
  const { path, grid, onBad } = parts;
  const home = farmOf(parts);
  const verify = (envelope: Envelope): VerifiedPolicy | null =>
    home === undefined
      ? null
      : verifyUpdatePolicy(envelope, home.farmer, { grid, farm: home.farm });
  let held: VerifiedPolicy | null = null;
  try {
    const text = await readText(path, FILE_BYTES_MAX);
    if (text !== undefined) held = verify(parseEnvelope(utf8(text)));
  } catch (error) {
    onBad('stored update policy', error);
  }
  return {
    current: () => held,
    take: async (envelope) => {
      const policy = verify(envelope);
      if (policy === null || policy.version === held?.version) return;
      refuseOlderPolicy(policy, held?.version ?? 0);
      await writeDurably({ path, bytes: JSON.stringify(envelope) });
      held = policy;
    },
  };
}

function farmOf(parts: PolicyParts): { farmer: Identity; farm: string } | undefined {
  const { token, grid, onBad } = parts;
  if (token === null || parts.farmer === null) return undefined;
  try {
    const farmer = verifyIdentity(parts.farmer);
    // Its end is about joining; the farm that it names stays this node's.
    return { farmer, farm: verifyJoinToken(token, { farmer, grid, nowMs: 0 }).farm };
  } catch (error) {
    onBad('join token', error);
    return undefined;
  }
}
