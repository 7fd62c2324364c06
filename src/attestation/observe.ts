import { readFile } from 'node:fs/promises';
import { activateCredential } from '../host/tpm/credential.ts';
import { type Tpm, TpmError } from '../host/tpm/device.ts';
import * as keys from '../host/tpm/keys.ts';
import { readNv } from '../host/tpm/nv.ts';
import { readPcrs } from '../host/tpm/pcr.ts';
import { ByteReader, fromHex, sha256Hex, toBase64, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { pruneEventLog } from './event-log.ts';
import { parseExtended } from './extended.ts';
import {
  bytesOf,
  type CredentialWire,
  type Endorsement,
  EVENT_LOG_BYTES_MAX,
  type Evidence,
  QUOTED_PCRS,
} from './spec.ts';

/** Where the kernel keeps the firmware's log; securityfs has to be mounted. */
export const EVENT_LOG_PATH = '/sys/kernel/security/tpm0/binary_bios_measurements';

/** What a node answers challenges with; both its keys stay loaded. */
export type Attestor = {
  readonly endorsement: Endorsement;
  /** The bytes that `verifyAttestation` judges; throws `TpmError`. */
  readonly answer: (challenge: {
    /** In hex: what the quote shall carry. */
    readonly nonce: string;
    readonly credential: CredentialWire;
  }) => Promise<Uint8Array>;
};

export type AttestorParts = {
  readonly tpm: Tpm;
  readonly eventLogPath: string;
  /** Where it is kept what PCR 14 was extended by. */
  readonly extendedPath: string;
};

/** Reads the endorsement certificate and makes both keys; throws `TpmError`. */
export async function openAttestor({ tpm, ...paths }: AttestorParts): Promise<Attestor> {
  const certificate = await readNv(tpm, keys.EK_CERTIFICATE_INDEX);
  if (certificate === undefined) {
    throw new TpmError(
      'TPM_ABSENT',
      'The TPM has no endorsement certificate from its maker; nobody else can vouch for it.',
    );
  }
  const ek = await keys.createEndorsementKey(tpm);
  const ak = await keys.createAttestationKey(tpm);
  const endorsement = {
    certificate: toBase64(withoutPadding(certificate)),
    key: toBase64(ak.publicArea),
  };
  return {
    endorsement,
    answer: async ({ nonce, credential }) => {
      const { idObject, encryptedSeed } = credential;
      const secret = await activateCredential(
        tpm,
        { ek, ak },
        { idObject: bytesOf(idObject), encryptedSeed: bytesOf(encryptedSeed) },
      );
      const quote = await keys.quotePcrs(tpm, ak, {
        nonce: fromHex(nonce) ?? new Uint8Array(),
        registers: QUOTED_PCRS,
      });
      const evidence: Evidence = {
        endorsement,
        activated: sha256Hex(secret),
        attest: toBase64(quote.attest),
        signature: toBase64(quote.signature),
        pcrs: await valuesOf(tpm),
        eventLog: toBase64(await readEventLog(paths.eventLogPath)),
        extended: await readExtended(paths.extendedPath),
      };
      return utf8(JSON.stringify(evidence));
    },
  };
}

async function valuesOf(tpm: Tpm): Promise<Evidence['pcrs']> {
  const values = await readPcrs(tpm, QUOTED_PCRS);
  const pairs = QUOTED_PCRS.map((register, at) => [register, values[at] ?? '']);
  return Object.fromEntries(pairs) as Evidence['pcrs'];
}

/** The registers decide; a log that is missing, strange or too long only names less. */
async function readEventLog(path: string): Promise<Uint8Array> {
  const none = new Uint8Array();
  const whole = await readFile(path).catch(() => none);
  try {
    const pruned = pruneEventLog(new Uint8Array(whole), QUOTED_PCRS);
    return pruned.length > EVENT_LOG_BYTES_MAX ? none : pruned;
  } catch (error) {
    if (error instanceof ZosError) return none;
    throw error;
  }
}

/** What PCR 14 was extended by in this boot, as whoever extended it wrote it down. */
async function readExtended(path: string): Promise<string[]> {
  return parseExtended(await readFile(path, 'utf8').catch(() => ''));
}

/** An index may be larger than the certificate in it: DER says its own length (X.690, 8.1.3). */
function withoutPadding(certificate: Uint8Array): Uint8Array {
  const reader = new ByteReader(certificate);
  const isLong = reader.u8() === 0x30 && reader.u8() === 0x82;
  return isLong ? certificate.subarray(0, 4 + reader.u16()) : certificate;
}
