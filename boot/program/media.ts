import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND_MS } from '../../src/lib/units.ts';
import { ZosError } from '../../src/lib/errors.ts';
import type { Loader } from '../../src/artifact/command-line.ts';
import {
  ArtifactError,
  type BootMedia,
  MEDIA_BYTES_MAX,
  mirrorSchema,
  parseBootMedia,
} from '../../src/artifact/spec.ts';
import { fetchBytes } from '../../src/host/http.ts';
import { loadModulesForDevices, readModuleIndex } from '../../src/host/modules.ts';
import type { Lease } from '../../src/host/net/dhcp.ts';
import { listLinks } from '../../src/host/net/ip.ts';
import type { BootConsole } from './console.ts';
import { findLocalMedia, isDiskOnItsWay, type LocalMedia } from './local-media.ts';

export type FoundMedia = {
  readonly media: BootMedia;
  /** Where it lay: `initramfs`, `local DEVICE`, or `network URL`. */
  readonly source: string;
};

/** A stick takes some seconds to tell what it is; a spinning disc takes longer. */
const LOCAL_WAIT_MS = 30 * SECOND_MS;
/** For one that is plugged in, on machines whose firmware does not tell what it started from. */
const STICK_WAIT_MS = 10 * SECOND_MS;
const PAUSE_MS = SECOND_MS;

/**
 * What a farmer tells this machine by what is in or on it: beside the first stage in memory, or on
 * a stick, disk or disc. It may say how to reach the network. `loader` is who loaded the kernel:
 * one on local media says that such a medium is there, so it is waited for. Throws `ArtifactError`.
 */
export async function findOwnMedia(wish: {
  readonly path: string;
  readonly console: BootConsole;
  readonly loader: Loader | null;
}): Promise<FoundMedia | undefined> {
  const { path, console, loader } = wish;
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes !== undefined) return { media: parseBootMedia(bytes), source: 'initramfs' };
  const local = await findLocal(console, loader === 'local' ? LOCAL_WAIT_MS : 0);
  return local && { media: local.media, source: `local ${local.device}` };
}

/**
 * What a farmer tells this machine beside what DHCP says the firmware was sent to. Throws
 * `ArtifactError`.
 */
export async function findNetworkMedia(
  console: BootConsole,
  leases: readonly Lease[],
): Promise<FoundMedia> {
  for (const url of await farmUrls(leases)) {
    const media = await fetchMedia(url, console);
    if (media !== undefined) return { media, source: `network ${url}` };
  }
  throw new ArtifactError(
    'TARGET_MISSING',
    'Nothing told this machine where to boot from; use a boot server, or a stick, of a farmer.',
    { facts: { artifact: 'farm.json' } },
  );
}

/**
 * The `farm.json` beside what DHCP told, with the card's own address, by which a boot server knows
 * its machines. Nobody vouches for it, nor for what lies there: see `BootMedia`.
 */
async function farmUrls(leases: readonly Lease[]): Promise<string[]> {
  const links = await listLinks();
  return leases.flatMap(({ link, bootFile }) => {
    const isUrl = mirrorSchema.safeParse(bootFile).success;
    const url = isUrl ? URL.parse('farm.json', bootFile) : null;
    const mac = links.find(({ name }) => name === link)?.mac;
    if (url === null || mac === undefined) return [];
    url.searchParams.set('mac', mac);
    return [url.href];
  });
}

async function fetchMedia(url: string, console: BootConsole): Promise<BootMedia | undefined> {
  try {
    return parseBootMedia(await fetchBytes({ url, bytesMax: MEDIA_BYTES_MAX }));
  } catch (error) {
    if (!(error instanceof ZosError)) throw error;
    console.refused({ artifact: 'farm.json', error, mirror: url });
    return undefined;
  }
}

/** Each look is after the drivers of what was found by the look before. */
async function findLocal(console: BootConsole, waitMs: number): Promise<LocalMedia | undefined> {
  const index = await readModuleIndex();
  const told = new Set<string>();
  const refused: BootConsole['refused'] = (refusal) => {
    if (!told.has(refusal.artifact)) console.refused(refusal);
    told.add(refusal.artifact);
  };
  for (let waitedMs = 0; ; waitedMs += PAUSE_MS) {
    await loadModulesForDevices(index);
    const found = await findLocalMedia({ console: { refused } });
    if (found !== undefined) {
      console.waits('media', null);
      return found;
    }
    const isDue = waitedMs < STICK_WAIT_MS && (await isDiskOnItsWay());
    if (waitedMs >= waitMs && !isDue) {
      console.waits('media', null);
      return undefined;
    }
    console.waits('media', 'the stick, disk or disc that is plugged in');
    await sleep(PAUSE_MS);
  }
}
