import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkExpiry } from '../../../src/artifact/release/metadata.ts';
import type { Decide } from '../../../boot/program/decision.ts';
import { openConsole } from '../../../boot/program/console.ts';
import { type FetchedRelease, fetchRelease } from '../../../boot/program/mirrors.ts';
import type { BootRefusal } from '../../../src/artifact/spec.ts';
import type { TestRelease } from './release.ts';

/** What a boot said and what it would hand over. */
export type Boot = {
  readonly lines: readonly string[];
  readonly refusals: readonly BootRefusal[];
  readonly fetched: FetchedRelease | undefined;
  readonly system: Buffer | undefined;
};

/** Boots from mirrors that share a trusted root, going through them once. */
export async function boot(
  mirrors: readonly string[],
  release: Pick<TestRelease, 'root'> & { readonly firstStagePath?: string },
  decide: Decide = async (found) => checkExpiry(found, Date.now()),
): Promise<Boot> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-boot-'));
  const lines: string[] = [];
  const { root, firstStagePath } = release;
  const console = openConsole(
    (line) => lines.push(line),
    () => 0,
  );
  try {
    const fetched = await fetchRelease({
      mirrors,
      root,
      decide,
      folder,
      roundsMax: 1,
      ...(firstStagePath === undefined ? {} : { firstStagePath }),
      console,
      limits: {
        bytesPerSecondMin: 1024 * 1024,
        graceMs: 1e3,
        idleMs: 400,
        metadataMs: 800,
      },
    });
    const system = await readFile(join(folder, 'system.erofs')).catch(() => undefined);
    return { lines, refusals: console.refusals, fetched, system };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What was refused, as `ARTIFACT: CODE`. */
export function refusals(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /refused (\S+: [A-Z_]+)/u.exec(line)?.[1] ?? []);
}
