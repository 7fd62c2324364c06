import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { ImageError } from '../errors.ts';

/** The pins, beside this folder: which exact packages the image is made of. In git, so trusted. */
const PINS_PATH = new URL('../pins.json', import.meta.url);

const sha256 = z.string().regex(/^[0-9a-f]{64}$/u);
const lengthBytes = z.int().positive();
const poolPath = z.string().regex(/^pool\/[\w./+~-]+\.deb$/u);

const packagePin = z.strictObject({
  version: z.string(),
  sha256,
  lengthBytes,
  path: poolPath,
});

const pinsSchema = z.strictObject({
  /** The signed index the packages were found in. */
  release: z.strictObject({
    codename: z.string(),
    version: z.string(),
    /** When it was signed: the earliest time a node takes for now. ISO 8601. */
    date: z.iso.datetime(),
    inReleaseSha256: sha256,
  }),
  kernel: z.strictObject({ package: z.string(), release: z.string() }),
  /** The binary inside the npm package, which is a third party's repack of Node.js. */
  node: z.strictObject({ package: z.string(), version: z.string(), sha256, lengthBytes }),
  packages: z.record(z.string(), packagePin),
});

export type PackagePin = z.infer<typeof packagePin>;
export type Pins = z.infer<typeof pinsSchema>;

/** What moves the pins on, named in every sentence about a pin that no longer holds. */
export const UPDATE_COMMAND = 'npm run image -- --update-pins';

/** Reads `image/pins.json`; throws `ImageError` when it is not what `--update-pins` writes. */
export async function readPins(): Promise<Pins> {
  const parsed = pinsSchema.safeParse(JSON.parse(await readFile(PINS_PATH, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new ImageError('PINS_INVALID', `image/pins.json is not valid; run ${UPDATE_COMMAND}.`, {
    cause: parsed.error,
  });
}

/**
 * Writes `image/pins.json` in a fixed order, so that a change of pins reads as a change of pins.
 */
export async function writePins(pins: Pins): Promise<void> {
  const names = Object.keys(pins.packages).toSorted();
  const packages = Object.fromEntries(names.map((name) => [name, pins.packages[name]]));
  await writeFile(PINS_PATH, `${JSON.stringify({ ...pins, packages }, null, 2)}\n`);
}
