import { z } from 'zod';
import { fromBase64 } from '../lib/bytes.ts';
import { sha256Schema } from '../lib/names.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { KiB } from '../lib/units.ts';
import { ZosError } from '../lib/errors.ts';

/** Why a node's word about its boot is not believed; the README numbers the checks. */
export class AttestationError extends ZosError<
  | 'MEASUREMENTS_MALFORMED'
  | 'EVIDENCE_MALFORMED'
  | 'EVENT_LOG_MALFORMED'
  | 'ENDORSEMENT_UNKNOWN'
  | 'KEY_UNFIT'
  | 'TPM_OTHER'
  | 'QUOTE_UNSIGNED'
  | 'QUOTE_MALFORMED'
  | 'NONCE_OLD'
  | 'PCR_SELECTION'
  | 'PCR_VALUES'
  | 'PCR_NOT_ZERO'
  | 'BOOT_CHANGED'
  | 'SYSTEM_UNKNOWN'
> {}

/** What a quote is over: the boot (4, 7, 11), what must not be (12, 13), and ours (14). */
export const QUOTED_PCRS = [4, 7, 11, 12, 13, 14] as const;

/** So long is a log of the registers that count; the rest of it stays at the node. */
export const EVENT_LOG_BYTES_MAX = 28 * KiB;
const CERTIFICATE_BYTES_MAX = 4 * KiB;
const PUBLIC_BYTES_MAX = 256;
const QUOTE_BYTES_MAX = 512;
/** Systems that one boot went through, each updated in place by the one before. */
export const EXTENDED_MAX = 64;

/** What goes into a register, in order: its value is the replay of these. */
const expectedEvents = z
  .array(z.strictObject({ what: z.string().max(60), sha256: sha256Schema }))
  .max(64);
export type ExpectedEvent = z.infer<typeof expectedEvents>[number];

const firstStageSchema = z.strictObject({
  release: z.string().max(100),
  pcr4: expectedEvents,
  pcr7: expectedEvents,
  pcr11: expectedEvents,
});
export type FirstStage = z.infer<typeof firstStageSchema>;

const measurementsSchema = z.strictObject({
  /** What the registers hold when this release's first stage was booted, and nothing else. */
  firstStages: z.array(firstStageSchema).max(64),
  /** SHA-256 of kernels and of system images that a node may go on to, as PCR 14 tells. */
  kernels: z.array(sha256Schema).max(64),
  systems: z.array(sha256Schema).max(64),
  /** Certificates (DER) that sign the endorsement certificates of TPMs. */
  endorsementRoots: z.array(base64(CERTIFICATE_BYTES_MAX)).max(64),
});
/** `measurements.json`, a signed target: what the registers of an honest node hold. */
export type Measurements = z.infer<typeof measurementsSchema>;

/** The most that `measurements.json` may be. */
export const MEASUREMENTS_BYTES_MAX = 256 * KiB;

/** Throws `AttestationError`. */
export function parseMeasurements(bytes: Uint8Array): Measurements {
  return parse('MEASUREMENTS_MALFORMED', bytes, {
    schema: measurementsSchema,
    limits: { bytesMax: MEASUREMENTS_BYTES_MAX, depthMax: 5 },
  });
}

/** What a node tells of its TPM beforehand, so that anybody can make a credential for it. */
export const endorsementSchema = z.strictObject({
  /** The endorsement certificate (DER), as the TPM's maker put it in. */
  certificate: base64(CERTIFICATE_BYTES_MAX),
  /** TPMT_PUBLIC of the key that quotes. */
  key: base64(PUBLIC_BYTES_MAX),
});
export type Endorsement = z.infer<typeof endorsementSchema>;

/** A secret that only one TPM can open, and only for one key that quotes. */
export const credentialSchema = z.strictObject({
  /** TPMS_ID_OBJECT. */
  idObject: base64(QUOTE_BYTES_MAX),
  /** The seed, encrypted to the endorsement key. */
  encryptedSeed: base64(QUOTE_BYTES_MAX),
});
export type CredentialWire = z.infer<typeof credentialSchema>;

const evidenceSchema = z.strictObject({
  endorsement: endorsementSchema,
  /** SHA-256 of the secret that was in the credential. */
  activated: sha256Schema,
  /** TPMS_ATTEST and TPMT_SIGNATURE over it. */
  attest: base64(QUOTE_BYTES_MAX),
  signature: base64(QUOTE_BYTES_MAX),
  /** What the quoted registers hold; the quote has the hash of all of them. */
  pcrs: z.strictObject({
    4: sha256Schema,
    7: sha256Schema,
    11: sha256Schema,
    12: sha256Schema,
    13: sha256Schema,
    14: sha256Schema,
  }),
  /** The firmware's log of what went into registers; it names, the registers decide. */
  eventLog: base64(EVENT_LOG_BYTES_MAX),
  /** What PCR 14 was extended by, in order. */
  extended: z.array(sha256Schema).max(EXTENDED_MAX),
});
/** What a node answers to a challenge. */
export type Evidence = z.infer<typeof evidenceSchema>;

const EVIDENCE_BYTES_MAX = 64 * KiB;

/** Throws `AttestationError`. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  return parse('EVIDENCE_MALFORMED', bytes, {
    schema: evidenceSchema,
    limits: { bytesMax: EVIDENCE_BYTES_MAX, depthMax: 3 },
  });
}

/** Bytes that a schema has checked already. */
export function bytesOf(text: string): Uint8Array {
  return fromBase64(text) ?? new Uint8Array();
}

/** Canonical base64 of so many bytes at most. */
function base64(bytesMax: number) {
  const isCanonical = (text: string): boolean => fromBase64(text) !== undefined;
  return z
    .string()
    .max(Math.ceil(bytesMax / 3) * 4)
    .refine(isCanonical, 'not base64');
}

type Form<T> = {
  readonly schema: z.ZodType<T>;
  readonly limits: { readonly bytesMax: number; readonly depthMax: number };
};

function parse<T>(
  code: 'MEASUREMENTS_MALFORMED' | 'EVIDENCE_MALFORMED',
  bytes: Uint8Array,
  { schema, limits }: Form<T>,
): T {
  const what = code === 'EVIDENCE_MALFORMED' ? 'The evidence' : 'measurements.json';
  let value: unknown;
  try {
    value = parseStrictJson(bytes, limits);
  } catch (cause) {
    const sentence = cause instanceof ZosError ? cause.message : 'It could not be read.';
    throw new AttestationError(code, `${what}: ${sentence}`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  const where = first?.path.join('.') || 'the whole';
  const sentence = `${what}, in ${where}: ${first?.message ?? 'not as expected'}.`;
  throw new AttestationError(code, sentence);
}
