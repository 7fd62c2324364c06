import { toBase64 } from '../lib/bytes.ts';
import { type CredentialSecrets, makeCredential, parseCertificate } from './credential.ts';
import { bytesOf, type CredentialWire, type Endorsement, type Measurements } from './spec.ts';
import { verifyEndorsement } from './verify.ts';

/**
 * A credential for this node's TPM and the key that it says it quotes with: nobody but that TPM,
 * with that key in it, can tell the secret. Throws `AttestationError` when there is no use in
 * asking: an unknown maker, or a key that could sign anything.
 */
export function credentialFor(
  endorsement: Endorsement,
  measurements: Measurements,
  secrets: CredentialSecrets,
): CredentialWire {
  const { name } = verifyEndorsement(endorsement, measurements);
  const certificate = parseCertificate(bytesOf(endorsement.certificate));
  const { idObject, encryptedSeed } = makeCredential(certificate, name, secrets);
  return { idObject: toBase64(idObject), encryptedSeed: toBase64(encryptedSeed) };
}
