import { bigEndian, concatBytes, fromHex } from '../../lib/bytes.ts';
import { ALG_SHA256, ENDORSEMENT, OWNER, readAnswer, runCommand, sized } from './command.ts';
import type { Tpm } from './device.ts';
import { pcrSelection } from './pcr.ts';

/** A key that is loaded, with its TPMT_PUBLIC and its name as the TPM gives them. */
export type TpmKey = {
  readonly handle: number;
  readonly publicArea: Uint8Array;
};

const PUBLIC_BYTES_MAX = 1024;
const [ALG_RSA, ALG_ECC, ALG_NULL, ALG_ECDSA, ALG_AES, ALG_CFB] = [
  0x0001, 0x0023, 0x0010, 0x0018, 0x0006, 0x0043,
] as const;
const CURVE_P256 = 0x0003;

/** PolicySecret(TPM_RH_ENDORSEMENT), as the TCG's templates for endorsement keys have it. */
const EK_POLICY = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');

/**
 * Template L-1 of the TCG EK Credential Profile for TPM 2.0 (B.3.3): RSA 2048, restricted
 * decryption, usable with a policy only. With it every TPM makes the key of its certificate again.
 */
const EK_TEMPLATE = concatBytes(
  bigEndian(ALG_RSA, 2),
  bigEndian(ALG_SHA256, 2),
  bigEndian(0x000300b2, 4),
  sized(EK_POLICY ?? new Uint8Array()),
  ...[ALG_AES, 128, ALG_CFB, ALG_NULL, 2048].map((value) => bigEndian(value, 2)),
  bigEndian(0, 4),
  sized(new Uint8Array(256)),
);

/**
 * A key that signs what the TPM itself makes and nothing else (restricted), ECDSA on P-256, and
 * can't leave it (fixedTPM, fixedParent, sensitiveDataOrigin).
 */
const AK_TEMPLATE = concatBytes(
  bigEndian(ALG_ECC, 2),
  bigEndian(ALG_SHA256, 2),
  bigEndian(0x00050472, 4),
  sized(new Uint8Array()),
  ...[ALG_NULL, ALG_ECDSA, ALG_SHA256, CURVE_P256, ALG_NULL].map((value) => bigEndian(value, 2)),
  sized(new Uint8Array()),
  sized(new Uint8Array()),
);

/**
 * The storage root key of the TCG's "TPM v2.0 Provisioning Guidance" (7.5.1) on P-256: what is
 * sealed below it opens in this TPM and in no other.
 */
const STORAGE_TEMPLATE = concatBytes(
  bigEndian(ALG_ECC, 2),
  bigEndian(ALG_SHA256, 2),
  bigEndian(0x00030472, 4),
  sized(new Uint8Array()),
  ...[ALG_AES, 128, ALG_CFB, ALG_NULL, CURVE_P256, ALG_NULL].map((value) => bigEndian(value, 2)),
  sized(new Uint8Array()),
  sized(new Uint8Array()),
);

/** The index of the certificate of the RSA 2048 endorsement key (same profile, 2.2.1.4). */
export const EK_CERTIFICATE_INDEX = 0x01c00002;

/** The endorsement key; a slow TPM takes seconds to make it. */
export async function createEndorsementKey(tpm: Tpm): Promise<TpmKey> {
  return createPrimary(tpm, ENDORSEMENT, EK_TEMPLATE);
}

/** The key that quotes; the same after each start, as it is derived from the TPM's own seed. */
export async function createAttestationKey(tpm: Tpm): Promise<TpmKey> {
  return createPrimary(tpm, ENDORSEMENT, AK_TEMPLATE);
}

/** The parent of what is sealed; the same after each start. */
export async function createStorageKey(tpm: Tpm): Promise<TpmKey> {
  return createPrimary(tpm, OWNER, STORAGE_TEMPLATE);
}

/** TPM2_CreatePrimary (part 3, 24.1). */
async function createPrimary(tpm: Tpm, hierarchy: number, template: Uint8Array): Promise<TpmKey> {
  const name = 'TPM2_CreatePrimary';
  const none = sized(new Uint8Array());
  const answer = await runCommand(tpm, {
    name,
    code: 0x131,
    handles: [hierarchy],
    sessions: ['password'],
    // An empty password and no secret of ours, the template, nothing of ours to record, no PCRs.
    parameters: [sized(concatBytes(none, none)), sized(template), none, bigEndian(0, 4)],
    hasHandleInAnswer: true,
  });
  const { handle, parameters } = answer;
  return readAnswer(name, () => ({ handle, publicArea: parameters.sized16(PUBLIC_BYTES_MAX) }));
}

/** A quote: TPMS_ATTEST as the TPM signed it, and TPMT_SIGNATURE over it. */
export type TpmQuote = { readonly attest: Uint8Array; readonly signature: Uint8Array };

/** TPM2_Quote (part 3, 18.4) over these registers, with the asker's nonce in it. */
export async function quotePcrs(
  tpm: Tpm,
  key: TpmKey,
  wish: { readonly nonce: Uint8Array; readonly registers: readonly number[] },
): Promise<TpmQuote> {
  const name = 'TPM2_Quote';
  const answer = await runCommand(tpm, {
    name,
    code: 0x158,
    handles: [key.handle],
    sessions: ['password'],
    parameters: [sized(wish.nonce), bigEndian(ALG_NULL, 2), pcrSelection(wish.registers)],
  });
  return readAnswer(name, () => {
    const attest = answer.parameters.sized16(PUBLIC_BYTES_MAX);
    return { attest, signature: answer.parameters.take(answer.parameters.left) };
  });
}

/** TPM2_FlushContext (part 3, 28.4): a key or session goes. */
export async function flush(tpm: Tpm, handle: number): Promise<void> {
  const parameters = [bigEndian(handle, 4)];
  await runCommand(tpm, { name: 'TPM2_FlushContext', code: 0x165, parameters });
}
