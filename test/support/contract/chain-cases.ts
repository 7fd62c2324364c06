import { signContract } from '../../../src/contract/sign.ts';
import { bundleOf, type IdentityBundle } from '../../../src/identity/bundle.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import type { Signer } from '../../../src/identity/envelope.ts';
import { changeIdentity } from '../../../src/identity/operation.ts';
import { toBase64 } from '../../../src/lib/bytes.ts';
import { keysFrom, makeOwner, makeTeam } from '../identity/people.ts';
import { plainContract } from './parts.ts';
import type { Vector } from './vector.ts';
import { type Case, TENANT, vectorOf } from './vectors.ts';

const [alice, bob, carol] = [makeOwner('alice'), makeOwner('bob'), makeOwner('carol')];
const NEW = keysFrom('alice anew');
const ROTATED = changeIdentity(
  alice.chain,
  { signingKeys: [toBase64(NEW.signing.publicKey)] },
  alice.keys.rotation,
);
const TEAM = makeTeam('team', [alice, bob, carol], 2);

/** A contract of the tenant `id`, who comes as this bundle, signed by these keys. */
function by(id: string, tenant: IdentityBundle, ...signers: Signer[]): Case {
  return { tenant, contract: signContract({ ...plainContract(TENANT), tenant: id }, ...signers) };
}

/** Checks 2 and 3 for tenants whose keys change, and for those who are several. */
export function chainVectors(): Vector[] {
  const { id } = verifyIdentity(bundleOf(ROTATED));
  const rotated = bundleOf(ROTATED);
  const headless = { chain: ROTATED.slice(1) };
  const [a, b] = [alice.keys.signing, bob.keys.signing];
  const untrusted = { expect: 'ENVELOPE_UNTRUSTED' };
  return [
    vectorOf(2, 'keys-that-changed', by(id, rotated, NEW.signing)),
    vectorOf(2, 'first-document-left-out', {
      ...by(id, headless, NEW.signing),
      expect: 'IDENTITY_BROKEN',
    }),
    vectorOf(3, 'key-after-a-change', by(id, rotated, NEW.signing)),
    vectorOf(3, 'key-from-before-a-change', { ...by(id, rotated, a), ...untrusted }),
    vectorOf(3, 'team-two-of-three', by(TEAM.id, TEAM.bundle, a, b)),
    vectorOf(3, 'team-one-of-three', { ...by(TEAM.id, TEAM.bundle, a), ...untrusted }),
    vectorOf(3, 'team-one-member-twice', { ...by(TEAM.id, TEAM.bundle, b, b), ...untrusted }),
  ];
}
