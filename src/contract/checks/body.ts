import { z } from 'zod';
import { openBound, sealBound } from '../../identity/seal.ts';
import { fromBase64, fromHex, sha256Hex, toBase64, utf8 } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { parseStrictJson } from '../../lib/strict-json.ts';
import { KiB } from '../../lib/units.ts';

export class BodyError extends ZosError<
  'BODY_OTHER' | 'BODY_MISSING' | 'BODY_MALFORMED' | 'SECRET_FOREIGN'
> {}

/** The most that a private body is, and the longest value in it. */
export const BODY_BYTES_MAX = 192 * KiB;
export const SECRET_BYTES_MAX = 16 * KiB;
const SEALED_LENGTH_MAX = 24 * KiB;

/** A private body as it travels: base64. */
export const bodySchema = z.base64().max(Math.ceil(BODY_BYTES_MAX / 3) * 4);

const contentSchema = z.strictObject({
  /** By chance, so that the hash in the contract says nothing once the body is erased. */
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  /** Boxes in base64, by `<container>/<secret>`, and by `volume:<name>` the keys of volumes. */
  secrets: z.record(z.string().max(65), z.base64().max(SEALED_LENGTH_MAX)),
});
/** What a contract only names by hash: sealed values, beside the record and not on it. */
export type Body = z.infer<typeof contentSchema>;

/** A body as it travels, and the SHA-256 by which its contract names it. */
export function encodeBody(body: Body): { readonly text: string; readonly digest: string } {
  const bytes = utf8(JSON.stringify(contentSchema.parse(body)));
  return { text: toBase64(bytes), digest: sha256Hex(bytes) };
}

/** The body that a contract names; throws `BodyError` or `JsonError`. */
export function readBody(text: string, digest: string | null): Body {
  const bytes = fromBase64(text);
  if (bytes === undefined || bytes.length > BODY_BYTES_MAX) {
    throw new BodyError('BODY_MALFORMED', 'The private body is not base64, or is too long.');
  }
  if (sha256Hex(bytes) !== digest) {
    throw new BodyError('BODY_OTHER', 'This is not the private body that the contract names.');
  }
  const parsed = contentSchema.safeParse(
    parseStrictJson(bytes, { bytesMax: BODY_BYTES_MAX, depthMax: 3 }),
  );
  if (parsed.success) return parsed.data;
  throw new BodyError('BODY_MALFORMED', 'The private body does not have its form.');
}

/** Where a secret belongs. */
export type SecretPlace = {
  readonly grid: string;
  readonly tenant: string;
  readonly node: string;
  readonly container: string;
  readonly name: string;
};

/** The key of a secret in its body. */
export function secretKey({ container, name }: Pick<SecretPlace, 'container' | 'name'>): string {
  return `${container}/${name}`;
}

/** Where the key of a volume belongs. */
export type VolumeKeyPlace = Omit<SecretPlace, 'container'>;

/** The key of a volume's key in its body; no container has a colon in its name. */
export function volumeSecretKey(name: string): string {
  return `volume:${name}`;
}

/** What a volume's key is sealed for: this tenant's volume of this name on this node, no other. */
export function volumeBindingOf({ grid, tenant, node, name }: VolumeKeyPlace): string {
  return sha256Hex(utf8(['zos-volume-key', grid, tenant, node, name].join('\n')));
}

/** What a secret is sealed for: this tenant's container of this name on this node, no other. */
export function bindingOf(place: SecretPlace): string {
  const { grid, tenant, node, container, name } = place;
  return sha256Hex(utf8(['zos-secret', grid, tenant, node, container, name].join('\n')));
}

/** The value in a box, wiped by who is done with it; throws `SealError`. */
export function openSecret(
  sealingSecret: Uint8Array,
  { sealed, binding }: { readonly sealed: string; readonly binding: string },
): Uint8Array {
  const box = fromBase64(sealed) ?? new Uint8Array();
  return openBound(sealingSecret, fromHex(binding) ?? new Uint8Array(), box);
}

/** How a node finds whether a box is for it. */
export function opensWith(sealingSecret: Uint8Array): Opens {
  return (sealed, binding) => {
    try {
      openSecret(sealingSecret, { sealed, binding }).fill(0);
      return true;
    } catch {
      return false;
    }
  };
}

/** What a sealer knows of a secret beside where it belongs. */
type Sealing = {
  readonly recipientKey: Uint8Array;
  readonly value: Uint8Array;
  readonly sealerSecret: Uint8Array;
};
export type SecretWish = SecretPlace & Sealing;

/** A value in a box, in base64, for the one place that it belongs to. */
export function sealSecret(wish: SecretWish): string {
  return sealFor(bindingOf(wish), wish);
}

/** The key of a volume in a box, likewise. */
export function sealVolumeKey(wish: VolumeKeyPlace & Sealing): string {
  return sealFor(volumeBindingOf(wish), wish);
}

function sealFor(binding: string, { recipientKey, value, sealerSecret }: Sealing): string {
  const bytes = fromHex(binding) ?? new Uint8Array();
  return toBase64(sealBound({ recipientKey, binding: bytes, value, sealerSecret }));
}

/** Whether a box in base64 opens here, for this purpose. */
export type Opens = (sealed: string, binding: string) => boolean;

/** For who can't open anything, and only passes bodies on. */
export const OPENS_ELSEWHERE: Opens = () => true;
