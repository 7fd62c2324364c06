import { readFile } from 'node:fs/promises';
import { type Measurements, parseMeasurements } from '../../attestation/spec.ts';
import {
  type BootMedia,
  type BootRecord,
  type GridFile,
  parseBootMedia,
  parseBootRecord,
  parseGridFile,
} from '../../artifact/spec.ts';

/** What the first stage left. */
export type BootFiles = {
  /** Signed by the grid's release keys, and checked by the boot program. */
  readonly grid: GridFile;
  /** From the boot media, unsigned: the token and the farmer in it carry their own signatures. */
  readonly media: BootMedia;
  readonly record: BootRecord;
  /** What an honest boot measures, signed as the rest; some releases have none. */
  readonly measurements: Measurements | undefined;
};

/** Reads what the boot program left in its folder; throws `ArtifactError`, `AttestationError`. */
export async function readBootFiles(folder: string): Promise<BootFiles> {
  const read = async (name: string): Promise<Uint8Array> =>
    new Uint8Array(await readFile(`${folder}/${name}`));
  const measurements = await read('measurements.json').catch(() => undefined);
  return {
    grid: parseGridFile(await read('grid.json')),
    media: parseBootMedia(await read('farm.json')),
    record: parseBootRecord(await read('boot.json')),
    measurements: measurements && parseMeasurements(measurements),
  };
}
