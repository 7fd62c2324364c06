import { bigEndian } from '../../lib/bytes.ts';
import { ENDORSEMENT, readAnswer, runCommand, sized } from './command.ts';
import type { Tpm } from './device.ts';
import { flush, type TpmKey } from './keys.ts';
import { startPolicySession } from './session.ts';

const SECRET_BYTES_MAX = 64;

export type Credential = {
  /** TPMS_ID_OBJECT: HMAC and encrypted secret. */
  readonly idObject: Uint8Array;
  /** The seed of both, encrypted to the endorsement key. */
  readonly encryptedSeed: Uint8Array;
};

/**
 * TPM2_ActivateCredential (part 3, 12.5): the secret, which this TPM gives out only when `ek` is
 * the key that it was encrypted to and `ak`, loaded in the same TPM, the one that it names.
 */
export async function activateCredential(
  tpm: Tpm,
  keys: { readonly ek: TpmKey; readonly ak: TpmKey },
  { idObject, encryptedSeed }: Credential,
): Promise<Uint8Array> {
  const session = await startPolicySession(tpm);
  try {
    await proveEndorsement(tpm, session);
    const name = 'TPM2_ActivateCredential';
    const answer = await runCommand(tpm, {
      name,
      code: 0x147,
      handles: [keys.ak.handle, keys.ek.handle],
      sessions: ['password', session],
      parameters: [sized(idObject), sized(encryptedSeed)],
    });
    return readAnswer(name, () => answer.parameters.sized16(SECRET_BYTES_MAX));
  } catch (error) {
    // What went well ended the session by itself.
    await flush(tpm, session).catch(() => undefined);
    throw error;
  }
}

/** TPM2_PolicySecret (part 3, 23.4) with the endorsement hierarchy's empty password. */
async function proveEndorsement(tpm: Tpm, session: number): Promise<void> {
  const none = sized(new Uint8Array());
  await runCommand(tpm, {
    name: 'TPM2_PolicySecret',
    code: 0x151,
    handles: [ENDORSEMENT, session],
    sessions: ['password'],
    parameters: [none, none, none, bigEndian(0, 4)],
  });
}
