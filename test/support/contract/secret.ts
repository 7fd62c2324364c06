import { encodeBody, sealSecret, secretKey } from '../../../src/contract/checks/body.ts';
import { contractDigest, signErasure } from '../../../src/contract/sign.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { GRID, makeContract, makePerson, NOW_MS, type Person } from '../contracts.ts';
import { contractFor } from '../identity/farm.ts';

/** Whose secrets they are. */
export const tenant = makePerson('tenant');

/** A contract whose container takes one sealed secret, with the body that it names. */
export function withSecret(node: { readonly id: string; readonly offerId: string }) {
  const place = { grid: GRID, tenant: tenant.id, node: node.id, container: 'web', name: 'db' };
  const sealed = sealSecret({
    ...place,
    recipientKey: makeSecretKeys().sealing.publicKey,
    value: utf8('hunter2'),
    sealerSecret: tenant.keys.sealing.secretKey,
  });
  const body = encodeBody({ salt: '5a'.repeat(32), secrets: { [secretKey(place)]: sealed } });
  const workloads = makeContract(tenant).workloads.map((workload) =>
    workload.kind === 'container'
      ? { ...workload, secrets: [{ name: 'db', env: null }] }
      : workload,
  );
  const carried = contractFor(tenant, node, { workloads, body: body.digest });
  return { id: contractDigest(carried.contract), carried, body, workloads };
}

/** An erasure, with who signed it. */
export function erasureBy(person: Person, contract: string, body: string) {
  const wish = { grid: GRID, tenant: person.id, contract, body, atMs: NOW_MS };
  return { erasure: signErasure(wish, person.keys.signing), tenant: person.document };
}
