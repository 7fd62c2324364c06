import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chainVectors } from './chain-cases.ts';
import { judgedVectors } from './judged-cases.ts';
import { signedVectors } from './signed-cases.ts';
import { fileNameOf } from './vector.ts';
import { volumeVectors } from './volume-cases.ts';

/** Where the vectors of the checks of a contract are. */
export const VECTORS = join(import.meta.dirname, '../../vectors/contract');

/** Every vector's file: the same bytes wherever and whenever it is made. */
export function vectorFiles(): ReadonlyMap<string, string> {
  return new Map(
    [...signedVectors(), ...chainVectors(), ...judgedVectors(), ...volumeVectors()].map(
      (vector) => {
        return [fileNameOf(vector), `${JSON.stringify(vector, null, 2)}\n`];
      },
    ),
  );
}

// node test/support/contract/write.ts
if (import.meta.main) {
  mkdirSync(VECTORS, { recursive: true });
  for (const name of readdirSync(VECTORS)) rmSync(join(VECTORS, name));
  for (const [name, text] of vectorFiles()) writeFileSync(join(VECTORS, name), text);
}
