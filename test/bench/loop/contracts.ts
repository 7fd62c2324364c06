import { openContractStore } from '../../../src/contract/store.ts';
import { contractDigest } from '../../../src/contract/sign.ts';
import type { CarriedContract } from '../../../src/contract/verify.ts';
import { payloadTypeOf } from '../../../src/identity/envelope.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { DAY_MS, MINUTE_MS, MiB } from '../../../src/lib/units.ts';
import { carry, makeContract, makePerson, PRICES } from '../../support/contracts.ts';
import { History } from '../../support/hostile/history.ts';

const tenant = makePerson('tenant');

export type ContractWish = {
  readonly node: string;
  readonly offer: string;
  readonly image: NamedFile;
};

/** A contract for one container that takes as little as one may, told apart by its number. */
export function smallContract({ node, offer, image }: ContractWish, number: number) {
  const nowMs = Date.now();
  const workloads = makeContract(tenant).workloads.flatMap((workload) =>
    workload.kind !== 'container'
      ? []
      : [
          {
            ...workload,
            image,
            uid: 1000,
            znet: null,
            pidsMax: 16,
            args: ['/bin/busybox', 'sleep', '1000000'],
            cpuMillis: 10,
            memoryBytes: 8 * MiB,
          },
        ],
  );
  return carry(
    tenant,
    makeContract(tenant, {
      node,
      offer,
      workloads,
      price: PRICES,
      nonce: number.toString(16).padStart(32, '0'),
      notBeforeMs: nowMs - MINUTE_MS,
      notAfterMs: nowMs + DAY_MS,
      resources: { cpuMillis: 10, memoryBytes: 8 * MiB, ssdBytes: 16 * MiB, hddBytes: 0 },
    }),
  );
}

/** Puts contracts where the node finds them when it starts, each with its place on the record. */
export async function storeContracts(
  folder: string,
  node: string,
  contracts: readonly CarriedContract[],
): Promise<void> {
  const store = await openContractStore(folder);
  const history = new History();
  const places = contracts.map(({ contract }, at) => {
    const digest = contractDigest(contract);
    const to = { node, seq: at + 1 };
    const payloadType = payloadTypeOf('contract');
    return { digest, seq: at + 1, index: history.add({ payloadType, digest, to }) };
  });
  for (const [at, { digest, seq, index }] of places.entries()) {
    const carried = contracts[at];
    if (carried === undefined) continue;
    const { contract: signed, tenant: signer } = carried;
    const place = { seq, proof: history.proof(index) };
    await store.put({ kind: 'contract', name: digest }, { signed, signer, place });
  }
}
