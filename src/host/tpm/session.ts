import { bigEndian } from '../../lib/bytes.ts';
import { ALG_SHA256, readAnswer, runCommand, sized } from './command.ts';
import type { Tpm } from './device.ts';
import { pcrSelection } from './pcr.ts';

const ALG_NULL = 0x0010;
const RH_NULL = 0x40000007;
const NONCE_BYTES = 32;
const DIGEST_BYTES_MAX = 64;

/** A session that opens something, or one that only finds out what a policy's digest is. */
const SESSION_TYPES = { policy: 1, trial: 3 } as const;

/** TPM2_StartAuthSession (part 3, 11.1): unsalted, unbound, for a policy. */
export async function startPolicySession(
  tpm: Tpm,
  type: keyof typeof SESSION_TYPES = 'policy',
): Promise<number> {
  const { handle } = await runCommand(tpm, {
    name: 'TPM2_StartAuthSession',
    code: 0x176,
    handles: [RH_NULL, RH_NULL],
    // The nonce is no secret of this session: what it opens needs none, only the same TPM.
    parameters: [
      sized(new Uint8Array(NONCE_BYTES)),
      sized(new Uint8Array()),
      bigEndian(SESSION_TYPES[type], 1),
      bigEndian(ALG_NULL, 2),
      bigEndian(ALG_SHA256, 2),
    ],
    hasHandleInAnswer: true,
  });
  return handle;
}

/** TPM2_PolicyPCR (part 3, 23.7): these registers as they are now. */
export async function requirePcrs(
  tpm: Tpm,
  session: number,
  registers: readonly number[],
): Promise<void> {
  await runCommand(tpm, {
    name: 'TPM2_PolicyPCR',
    code: 0x17f,
    handles: [session],
    parameters: [sized(new Uint8Array()), pcrSelection(registers)],
  });
}

/** TPM2_PolicyGetDigest (part 3, 23.6). */
export async function readPolicyDigest(tpm: Tpm, session: number): Promise<Uint8Array> {
  const name = 'TPM2_PolicyGetDigest';
  const { parameters } = await runCommand(tpm, { name, code: 0x189, handles: [session] });
  return readAnswer(name, () => parameters.sized16(DIGEST_BYTES_MAX));
}
