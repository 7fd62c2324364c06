import { bigEndian } from '../../lib/bytes.ts';
import { ALG_SHA256, ENDORSEMENT, readAnswer, runCommand, sized } from './command.ts';
import type { Tpm } from './device.ts';
import { flush, type TpmKey } from './keys.ts';

const ALG_NULL = 0x0010;
const RH_NULL = 0x40000007;
const SE_POLICY = 1;
const NONCE_BYTES = 32;
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

/** TPM2_StartAuthSession (part 3, 11.1): unsalted, unbound, for a policy. */
async function startPolicySession(tpm: Tpm): Promise<number> {
  const { handle } = await runCommand(tpm, {
    name: 'TPM2_StartAuthSession',
    code: 0x176,
    handles: [RH_NULL, RH_NULL],
    // The nonce is no secret of this session: what it opens needs none, only the same TPM.
    parameters: [
      sized(new Uint8Array(NONCE_BYTES)),
      sized(new Uint8Array()),
      bigEndian(SE_POLICY, 1),
      bigEndian(ALG_NULL, 2),
      bigEndian(ALG_SHA256, 2),
    ],
    hasHandleInAnswer: true,
  });
  return handle;
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
