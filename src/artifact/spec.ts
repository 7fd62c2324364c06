import { z } from 'zod';
import { ZosError } from '../lib/errors.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { sha256Schema } from '../lib/names.ts';
import { KiB } from '../lib/units.ts';
import { bundleSchema } from '../identity/bundle.ts';
import { idSchema } from '../identity/document.ts';
import { ENVELOPE_BYTES_MAX, envelopeSchema } from '../identity/envelope.ts';
import { gridSchema } from '../identity/farm.ts';
import type { HttpError } from '../host/http.ts';

/** Why an artifact, or a file about artifacts, was refused; `facts.artifact` names it. */
export class ArtifactError extends ZosError<
  | 'NOT_JSON'
  | 'MALFORMED'
  | 'UNTRUSTED'
  | 'EXPIRED'
  | 'ROLLED_BACK'
  | 'LENGTH_MISMATCH'
  | 'DIGEST_MISMATCH'
  | 'TARGET_MISSING'
  | 'NO_ROOM'
  | 'ARGUMENT_REFUSED'
  | 'DIRECTORY_SILENT'
  | HttpError['code']
> {}

/**
 * Every file that a release may have: kernel and first stage, the two of them as one for UEFI, the
 * signatures and images for GRUB, the system, its grid, and what an attested machine measures. Each
 * is a signed target; names become paths, so none but these is ever written or served.
 */
export const RELEASE_FILES = [
  'vmlinuz',
  'initramfs.cpio',
  'system.erofs',
  'grid.json',
  'measurements.json',
  'zos.efi',
  'systemd-bootx64.efi',
  'vmlinuz.sig',
  'initramfs.cpio.sig',
  'zos-bios.img',
  'zos-bios.cd',
  'zos-bios.pxe',
] as const;

/** Without these there is no release. */
export const RELEASE_FILES_REQUIRED = ['vmlinuz', 'initramfs.cpio', 'system.erofs'] as const;

export const MIRRORS_MAX = 16;
/** Runs that a first stage may lend to a second; more would be many small requests. */
export const REUSE_RUNS_MAX = 1024;

/** The base address of a mirror; a release lies right below it. */
export const mirrorSchema = z
  .url({ protocol: /^https?$/u })
  .max(500)
  .refine((text) => !/[?#@]|\s/u.test(text), 'no query, fragment or password');

const bootMediaSchema = z.strictObject({
  grid: gridSchema,
  mirrors: z.array(mirrorSchema).min(1).max(MIRRORS_MAX),
  token: envelopeSchema.nullable(),
  farmer: bundleSchema.nullable(),
  /** How the machines of the farm reach out, signed by its farmer; see `src/uplink/spec.ts`. */
  network: envelopeSchema.optional(),
});
/**
 * `/farm.json`, what a farmer's boot server or stick tells a machine. Unsigned: mirrors are hints,
 * token, farmer and network settings carry their own signatures. Who can change it can keep a node
 * from booting, or send it to another farm; it can't make it run anything.
 */
export type BootMedia = z.infer<typeof bootMediaSchema>;

/** The longest `farm.json` there may be. */
export const MEDIA_BYTES_MAX = 3 * ENVELOPE_BYTES_MAX;

/** Throws `ArtifactError`. */
export function parseBootMedia(bytes: Uint8Array): BootMedia {
  const limits = { bytesMax: MEDIA_BYTES_MAX, depthMax: 8 };
  return parseFile('farm.json', bytes, { schema: bootMediaSchema, limits });
}

const gridFileSchema = z.strictObject({
  grid: gridSchema,
  directory: z.strictObject({
    urls: z.array(mirrorSchema).min(1).max(MIRRORS_MAX),
    identity: idSchema,
  }),
  /** Which log is the grid's record, and who has to have seen it: a C2SP tlog-policy. */
  record: z.strictObject({ policy: z.string().max(48 * KiB) }),
});
/** `grid.json`, a signed target: a node's grid, who its directory is, and whose record counts. */
export type GridFile = z.infer<typeof gridFileSchema>;

/** Throws `ArtifactError`. */
export function parseGridFile(bytes: Uint8Array): GridFile {
  const limits = { bytesMax: 64 * KiB, depthMax: 4 };
  return parseFile('grid.json', bytes, { schema: gridFileSchema, limits });
}

/** How many refusals a boot keeps: the first ones tell most. */
export const REFUSALS_MAX = 32;

/** Something that a machine did not take while it booted. */
export const refusalSchema = z.strictObject({
  artifact: z.string().max(200),
  code: z.string().max(60),
  sentence: z.string().max(500),
  /** Whose it was; `null` when it came from no mirror. */
  mirror: z.string().max(500).nullable(),
});
export type BootRefusal = z.infer<typeof refusalSchema>;

const versionSchema = z.int().nonnegative();

/** Versions of signed metadata; 0 for none. */
export const versionsSchema = z.strictObject({
  root: versionSchema,
  timestamp: versionSchema,
  snapshot: versionSchema,
  targets: versionSchema,
});
export type Versions = z.infer<typeof versionsSchema>;

const bootRecordSchema = z.strictObject({
  release: z.string().max(100),
  stages: z.array(z.strictObject({ stage: z.string(), sinceKernelStartMs: z.number() })).max(1000),
  mirror: z.string(),
  systemSha256: z.string().regex(/^[0-9a-f]{64}$/u),
  wireBytes: z.int().nonnegative(),
  reusedBytes: z.int().nonnegative(),
  /** Of the metadata that vouches for the system, and of the root.json with that version. */
  versions: versionsSchema,
  rootSha256: sha256Schema,
  /** Kernel and first stage of the release that was the newest when this machine started. */
  kernel: idSchema,
  /** Who loaded the kernel, as the kernel's own command line tells. */
  loader: z.enum(['local', 'network']).nullable(),
  /** Where the farm file came from: `initramfs`, `local DEVICE` or `network URL`. */
  media: z.string().max(600),
  refusals: z.array(refusalSchema).max(REFUSALS_MAX),
});
/** `boot.json`, what the first stage leaves for the second: how this boot went. */
export type BootRecord = z.infer<typeof bootRecordSchema>;

/** Throws `ArtifactError`. */
export function parseBootRecord(bytes: Uint8Array): BootRecord {
  const limits = { bytesMax: 256 * KiB, depthMax: 4 };
  return parseFile('boot.json', bytes, { schema: bootRecordSchema, limits });
}

const reuseRun = z.tuple([z.int().nonnegative(), z.int().positive(), z.int().nonnegative()]);

export const reuseSchema = z.array(reuseRun).max(REUSE_RUNS_MAX);
/** Bytes that the first stage already holds: [offset here, length, offset in first.erofs]. */
export type ReuseRun = z.infer<typeof reuseRun>;

type Form<T> = {
  readonly schema: z.ZodType<T>;
  readonly limits: { readonly bytesMax: number; readonly depthMax: number };
};

function parseFile<T>(artifact: string, bytes: Uint8Array, form: Form<T>): T {
  let value: unknown;
  try {
    value = parseStrictJson(bytes, form.limits);
  } catch (cause) {
    const sentence = cause instanceof ZosError ? cause.message : 'It could not be read.';
    throw new ArtifactError('NOT_JSON', sentence, { facts: { artifact }, cause });
  }
  const parsed = form.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  const where = first?.path.join('.') || 'the file';
  throw new ArtifactError('MALFORMED', `In ${where}: ${first?.message ?? 'not as expected'}.`, {
    facts: { artifact },
  });
}
