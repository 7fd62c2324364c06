import { type Receipt, verifyReceipt } from '../contract/receipt.ts';
import type { ContractStore } from '../contract/store.ts';
import type { VerifiedContract } from '../contract/verify.ts';
import type { IdentityBundle } from '../identity/bundle.ts';
import { verifyIdentity } from '../identity/document.ts';
import { type Envelope, untrustedPayload } from '../identity/envelope.ts';
import { sha256Hex } from '../lib/bytes.ts';
import type { ZnetEnd } from '../znet/spec.ts';

/** What other nodes said of their ends of the znets that this node shares with them. */
export type Peers = {
  readonly take: (receipt: Envelope, node: Envelope) => Promise<void>;
  readonly reload: (receipt: Envelope, node: IdentityBundle) => Promise<void>;
  /** A node's newest word on its end of a znet. */
  readonly endOf: (node: string, znet: string) => ZnetEnd | undefined;
};

type PeersParts = {
  readonly store: ContractStore;
  readonly grid: string;
  readonly held: ReadonlyMap<string, VerifiedContract>;
};

/**
 * A peer's key is trusted because that node signed it and a contract of the tenant names that node:
 * whoever carries the receipt can hold it back, and can put nothing in its place.
 */
export function openPeers({ store, grid, held }: PeersParts): Peers {
  const receipts = new Map<string, { receipt: Receipt; digest: string }>();

  const accept = (envelope: Envelope, document: IdentityBundle): string | undefined => {
    const node = verifyIdentity(document);
    if (!isNamed(node.id, held)) return undefined;
    const digest = sha256Hex(untrustedPayload(envelope, 'receipt'));
    if ([...receipts.values()].some((known) => known.digest === digest)) return undefined;
    const receipt = verifyReceipt(envelope, node, grid);
    const name = `${node.id}-${receipt.contract}`;
    // An older word never replaces a newer one.
    if ((receipts.get(name)?.receipt.seq ?? 0) >= receipt.seq) return undefined;
    receipts.set(name, { receipt, digest });
    return name;
  };

  return {
    take: async (signed, signer) => {
      const name = accept(signed, signer);
      if (name !== undefined) await store.put({ kind: 'peer', name }, { signed, signer });
    },
    reload: async (signed, signer) => {
      accept(signed, signer);
    },
    endOf: (node, znet) => {
      let newest: { seq: number; end: ZnetEnd } | undefined;
      for (const { receipt } of receipts.values()) {
        if (receipt.node !== node || receipt.seq <= (newest?.seq ?? 0)) continue;
        const end = receipt.znetEnds.find((candidate) => candidate.znet === znet);
        if (end !== undefined) newest = { seq: receipt.seq, end };
      }
      return newest?.end;
    },
  };
}

function isNamed(node: string, held: ReadonlyMap<string, VerifiedContract>): boolean {
  return [...held.values()].some(({ workloads }) =>
    workloads.some(
      (workload) => workload.kind === 'znet' && workload.peers.some((peer) => peer.node === node),
    ),
  );
}
