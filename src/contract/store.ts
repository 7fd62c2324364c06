import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { z } from 'zod';
import { readText, syncFolder, writeDurably } from '../host/files.ts';
import { bundleSchema, type IdentityBundle } from '../identity/bundle.ts';
import { ENVELOPE_BYTES_MAX, type Envelope, envelopeSchema } from '../identity/envelope.ts';
import { bodySchema } from './checks/body.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { type CarriedPlace, placed } from './record/place.ts';

/** The kinds of signed things a node keeps, each with the identity that signed it. */
export const KEPT_KINDS = ['contract', 'cancellation', 'peer'] as const;
export type KeptKind = (typeof KEPT_KINDS)[number];

const keptSchema = z.strictObject({
  signed: envelopeSchema,
  signer: bundleSchema,
  place: z.strictObject(placed).optional(),
  body: bodySchema.optional(),
});
export type Kept = {
  readonly signed: Envelope;
  readonly signer: IdentityBundle;
  /** Where it stands on the record, to be checked again as the rest. */
  readonly place?: CarriedPlace | undefined;
  /** The private body of a contract; nobody but this node can open what is sealed in it. */
  readonly body?: string | undefined;
};

export type KeptFile = { readonly kind: KeptKind; readonly name: string };

/**
 * The signed things that a node accepted, one file each, so that it knows them again when it starts
 * without the directory.
 *
 * Who can write here gains nothing: whatever is read is checked again by its signature, node, grid
 * place on the record and
 * time before it counts, as if it came from outside. They can make the node forget (a contract
 * stops; a cancellation or a newer version has to come from the directory again) or put back what
 * its tenant did sign for this node. They can't make or change anything.
 */
export type ContractStore = {
  /** Everything readable, and the names of files that are not; those are left where they are. */
  readonly load: () => Promise<{
    readonly kept: readonly (KeptFile & Kept)[];
    readonly damaged: readonly string[];
  }>;
  readonly put: (file: KeptFile, kept: Kept) => Promise<void>;
  readonly remove: (file: KeptFile) => Promise<void>;
};

const FILES_MAX = 16_384;
const FILE_BYTES_MAX = 2 * ENVELOPE_BYTES_MAX;
const FILE_NAME = /^(contract|cancellation|peer)-([0-9a-f]{64}(?:-[0-9a-f]{64})?)\.json$/u;

/**
 * Opens a folder as the store, made if it is missing. Private bodies lie apart, in `bodyFolder`:
 * who has them and the node's key can open what is sealed in them.
 */
export async function openContractStore(
  folder: string,
  bodyFolder = folder,
): Promise<ContractStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await mkdir(bodyFolder, { recursive: true, mode: 0o700 });
  const pathOf = ({ kind, name }: KeptFile): string => `${folder}/${kind}-${name}.json`;
  const bodyOf = ({ kind, name }: KeptFile): string => `${bodyFolder}/${kind}-${name}.body`;
  return {
    load: async () => {
      const kept: (KeptFile & Kept)[] = [];
      const damaged: string[] = [];
      for (const entry of (await readdir(folder)).toSorted().slice(0, FILES_MAX)) {
        const file = fileOf(entry);
        if (file === undefined) continue;
        const value = await readKept(`${folder}/${entry}`);
        const body = await readBodyText(bodyOf(file));
        if (value === undefined) damaged.push(entry);
        else kept.push({ ...file, ...value, ...(body === undefined ? {} : { body }) });
      }
      return { kept, damaged };
    },
    put: async (file, { body, ...kept }) => {
      // The body first: a contract that is here without it waits for it to come again.
      if (body === undefined) await rm(bodyOf(file), { force: true });
      else await writeDurably({ path: bodyOf(file), bytes: body });
      await writeDurably({ path: pathOf(file), bytes: JSON.stringify(kept) });
    },
    remove: async (file) => {
      await rm(pathOf(file), { force: true });
      await rm(bodyOf(file), { force: true });
      await syncFolder(folder);
    },
  };
}

/** One that can't be read is none: it comes again. */
async function readBodyText(path: string): Promise<string | undefined> {
  return readText(path, FILE_BYTES_MAX).catch(() => undefined);
}

function fileOf(entry: string): KeptFile | undefined {
  const match = FILE_NAME.exec(entry);
  const kind = KEPT_KINDS.find((known) => known === match?.[1]);
  const name = match?.[2];
  return kind === undefined || name === undefined ? undefined : { kind, name };
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) return undefined;
    const bytes = new Uint8Array(await readFile(path));
    return keptSchema.parse(parseStrictJson(bytes, { bytesMax: FILE_BYTES_MAX, depthMax: 10 }));
  } catch {
    return undefined;
  }
}
