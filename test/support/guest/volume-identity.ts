// Part of a script that runs in a guest; see `runInGuest`.
import { randomBytes } from 'node:crypto';
import { encodeBody, sealSecret, secretKey } from '../../../src/contract/checks/body.ts';
import { bindingOf } from '../../../src/contract/checks/body.ts';
import { openContractStore } from '../../../src/contract/store.ts';
import type { SealedSecret } from '../../../src/container/plan.ts';
import { signIdentity } from '../../../src/identity/document.ts';
import { signEnvelope } from '../../../src/identity/envelope.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { toHex, utf8 } from '../../../src/lib/bytes.ts';
import { openSelf, type Self } from '../../../src/node/bringup/identity.ts';
import { openSealer } from '../../../src/node/identity/sealing.ts';

const PLACE = { grid: 'test', tenant: 'a', node: 'b', container: 'ext4', name: 'password' };

/** The node's identity on the data disk, its key sealed by the machine's TPM. */
export async function openNode(): Promise<Self> {
  return openSelf('/data/node', await openSealer({ isSecureBoot: false }));
}

/** A secret of a tenant, by chance, sealed to the node, and kept with a contract as it would be. */
export async function keepSecret({ keys }: Self): Promise<{
  readonly sealed: SealedSecret;
  readonly value: string;
}> {
  const tenant = makeSecretKeys();
  const value = `secret-${randomBytes(12).toString('hex')}`;
  const { publicKey: recipientKey } = keys.sealing;
  const sealerSecret = tenant.sealing.secretKey;
  const sealed = sealSecret({ ...PLACE, recipientKey, value: utf8(value), sealerSecret });
  const body = encodeBody({ salt: '5a'.repeat(32), secrets: { [secretKey(PLACE)]: sealed } });
  const store = await openContractStore('/data/node/contracts', '/data/node/bodies');
  const file = { kind: 'contract', name: '12'.repeat(32) } as const;
  const signed = signEnvelope('contract', { says: 'nothing' }, tenant.signing);
  await store.put(file, { signed, signer: signIdentity('tenant', tenant), body: body.text });
  return { sealed: { name: 'password', env: null, sealed, binding: bindingOf(PLACE) }, value };
}

/** What nobody may find on the disk, in hex. */
export function seedsOf({ keys }: Self): readonly string[] {
  return [keys.signing.secretKey.subarray(0, 32), keys.sealing.secretKey].map(toHex);
}
