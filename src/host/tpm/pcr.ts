import { bigEndian, concatBytes, fromHex, toHex } from '../../lib/bytes.ts';
import { ALG_SHA256, readAnswer, runCommand } from './command.ts';
import { type Tpm, TpmError } from './device.ts';

/** The PCR of ours: the system that the first stage hands over to, then every one after it. */
export const OWN_PCR = 14;

const PCR_COUNT = 24;
const DIGEST_BYTES = 32;

/** TPML_PCR_SELECTION over the SHA-256 bank (part 2, 10.9.7): one bit a register. */
export function pcrSelection(registers: readonly number[]): Uint8Array {
  const bits = new Uint8Array(PCR_COUNT / 8);
  for (const register of registers) {
    const at = register >> 3;
    bits[at] = (bits[at] ?? 0) | (1 << (register & 7));
  }
  const [count, lengthBytes] = [bigEndian(1, 4), bigEndian(bits.length, 1)];
  return concatBytes(count, bigEndian(ALG_SHA256, 2), lengthBytes, bits);
}

/** TPM2_PCR_Read (part 3, 22.4): the SHA-256 value of one register, in hex. */
export async function readPcr(tpm: Tpm, register: number): Promise<string> {
  const [value = ''] = await readPcrs(tpm, [register]);
  return value;
}

/** Up to eight registers at once, lowest first: every command costs a TPM its time. */
export async function readPcrs(tpm: Tpm, registers: readonly number[]): Promise<string[]> {
  const name = 'TPM2_PCR_Read';
  const parameters = [pcrSelection(registers)];
  const answer = await runCommand(tpm, { name, code: 0x17e, parameters });
  return readAnswer(name, () => {
    const reader = answer.parameters;
    reader.u32(); // How often any register changed.
    const isOneBank = reader.u32() === 1 && reader.u16() === ALG_SHA256;
    reader.take(reader.u8());
    if (!isOneBank || reader.u32() !== registers.length) throw noBank(registers);
    return registers.map(() => toHex(reader.sized16(DIGEST_BYTES)));
  });
}

/** TPM2_PCR_Extend (part 3, 22.2): SHA-256(value || digest) is the register's value from now on. */
export async function extendPcr(tpm: Tpm, register: number, sha256: string): Promise<void> {
  const digest = fromHex(sha256);
  if (digest?.length !== DIGEST_BYTES) throw new TypeError('a PCR is extended by a SHA-256');
  await runCommand(tpm, {
    name: 'TPM2_PCR_Extend',
    code: 0x182,
    handles: [register],
    sessions: ['password'],
    parameters: [bigEndian(1, 4), bigEndian(ALG_SHA256, 2), digest],
  });
}

function noBank(registers: readonly number[]): TpmError {
  return new TpmError(
    'TPM_REFUSED',
    `The TPM has no SHA-256 bank for PCR ${registers.join(', ')}; switch it on in the firmware.`,
    { facts: { rc: 'TPM_RC_PCR' } },
  );
}
