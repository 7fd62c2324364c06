import { bigEndian, concatBytes } from '../../lib/bytes.ts';
import { ALG_SHA256, readAnswer, runCommand, sized } from './command.ts';
import type { Tpm } from './device.ts';
import { createStorageKey, flush } from './keys.ts';
import { readPolicyDigest, requirePcrs, startPolicySession } from './session.ts';

/** What a TPM gave out for a secret: noise without that very TPM. */
export type SealedBlob = { readonly private: Uint8Array; readonly public: Uint8Array };

/** The most that one sealed object holds (MAX_SYM_DATA of every TPM). */
export const SEALED_BYTES_MAX = 128;
const BLOB_BYTES_MAX = 1024;
const [ALG_KEYEDHASH, ALG_NULL] = [0x0008, 0x0010] as const;
/** fixedTPM, fixedParent, noDA; the policy alone opens it, unless there is none (userWithAuth). */
const [ATTRIBUTES, USER_WITH_AUTH] = [0x0412, 0x0040] as const;

/**
 * Seals a secret to this TPM, and to what these registers hold now; to none, the TPM alone counts.
 * Throws `TpmError`.
 */
export async function sealSecret(
  tpm: Tpm,
  secret: Uint8Array,
  registers: readonly number[],
): Promise<SealedBlob> {
  const parent = await createStorageKey(tpm);
  try {
    const policy = registers.length === 0 ? undefined : await policyOf(tpm, registers);
    const template = concatBytes(
      bigEndian(ALG_KEYEDHASH, 2),
      bigEndian(ALG_SHA256, 2),
      bigEndian(ATTRIBUTES | (policy === undefined ? USER_WITH_AUTH : 0), 4),
      sized(policy ?? new Uint8Array()),
      bigEndian(ALG_NULL, 2),
      sized(new Uint8Array()),
    );
    const name = 'TPM2_Create';
    const none = sized(new Uint8Array());
    const sensitive = sized(concatBytes(none, sized(secret)));
    const answer = await runCommand(tpm, {
      name,
      code: 0x153,
      handles: [parent.handle],
      sessions: ['password'],
      parameters: [sensitive, sized(template), none, bigEndian(0, 4)],
    });
    sensitive.fill(0);
    return readAnswer(name, () => ({
      private: answer.parameters.sized16(BLOB_BYTES_MAX),
      public: answer.parameters.sized16(BLOB_BYTES_MAX),
    }));
  } finally {
    await flush(tpm, parent.handle);
  }
}

/**
 * Opens what `sealSecret` made. Throws `TpmError`: `TPM_RC_INTEGRITY` from TPM2_Load in another
 * TPM, `TPM_RC_POLICY_FAIL` from TPM2_Unseal when the registers hold something else.
 */
export async function openSecretBlob(
  tpm: Tpm,
  blob: SealedBlob,
  registers: readonly number[],
): Promise<Uint8Array> {
  const parent = await createStorageKey(tpm);
  try {
    const { handle } = await runCommand(tpm, {
      name: 'TPM2_Load',
      code: 0x157,
      handles: [parent.handle],
      sessions: ['password'],
      parameters: [sized(blob.private), sized(blob.public)],
      hasHandleInAnswer: true,
    });
    try {
      return await unseal(tpm, handle, registers);
    } finally {
      await flush(tpm, handle);
    }
  } finally {
    await flush(tpm, parent.handle);
  }
}

/** TPM2_Unseal (part 3, 12.7). */
async function unseal(tpm: Tpm, item: number, registers: readonly number[]): Promise<Uint8Array> {
  const name = 'TPM2_Unseal';
  const ask = async (session: 'password' | number): Promise<Uint8Array> => {
    const sessions = [session];
    const answer = await runCommand(tpm, { name, code: 0x15e, handles: [item], sessions });
    return readAnswer(name, () => answer.parameters.sized16(SEALED_BYTES_MAX));
  };
  if (registers.length === 0) return ask('password');
  const session = await startPolicySession(tpm);
  try {
    await requirePcrs(tpm, session, registers);
    return await ask(session);
  } catch (error) {
    // What went well ended the session by itself.
    await flush(tpm, session).catch(() => undefined);
    throw error;
  }
}

async function policyOf(tpm: Tpm, registers: readonly number[]): Promise<Uint8Array> {
  const session = await startPolicySession(tpm, 'trial');
  try {
    await requirePcrs(tpm, session, registers);
    return await readPolicyDigest(tpm, session);
  } finally {
    await flush(tpm, session);
  }
}
