import type { Identity } from '../../identity/document.ts';
import { type KnownLink, linksAfter, succeed } from '../../identity/succession.ts';

/** Tenants that are remembered; beyond them the ones of longest ago are forgotten. */
const TENANTS_MAX = 4096;

/** The newest documents that this node has seen of each tenant who signed for it. */
export type Tenants = {
  /**
   * Takes what somebody signed under; throws `IdentityError` when newer documents of them are known
   * here, so that keys which were taken out sign nothing new on this node, whoever carries it.
   */
  readonly take: (signers: Identity, nowMs: number) => void;
  /** Takes what was stored: signed and accepted before, so it may be older than the rest. */
  readonly recall: (signers: Identity) => void;
};

/** What is known begins with what the node holds, and is in memory only. */
export function openTenants(): Tenants {
  const known = new Map<string, readonly KnownLink[]>();
  const learn = (identity: Identity, nowMs: number | null): void => {
    for (const member of identity.members) learn(member, nowMs);
    const links = known.get(identity.id) ?? [];
    const succession = succeed(links, identity, nowMs ?? 0);
    known.delete(identity.id);
    known.set(identity.id, linksAfter(links, succession, nowMs));
    const [oldest] = known.keys();
    if (known.size > TENANTS_MAX && oldest !== undefined) known.delete(oldest);
  };
  return {
    take: learn,
    recall: (signers) => {
      for (const identity of [...signers.members, signers]) {
        const links = known.get(identity.id) ?? [];
        if (links.length < identity.chain.length) {
          known.set(
            identity.id,
            identity.chain.map((link) => ({ ...link, atMs: null })),
          );
        }
      }
    },
  };
}
