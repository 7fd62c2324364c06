import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BootServer, openBootServer, type ServeEvent } from '../serve/server.ts';
import type { FirstPrograms } from '../serve/wire.ts';
import { type Bot, openBot } from './bot.ts';
import { type Directory, startDirectory, startWitnesses, type Witnesses } from './directory.ts';
import { makeFarm } from './farm.ts';
import { copyRelease, type ReleaseWish, signGrid } from './release.ts';

/** Who serves the machines on a wire, from one address. */
export type Services = AsyncDisposable & {
  readonly directory: Directory;
  readonly witnesses: Witnesses;
  readonly bootServer: BootServer;
  readonly bot: Bot;
  /** Where nodes fetch the images of `dist/images` from. */
  readonly imagesUrl: string;
  /** The release that machines on this wire boot. */
  readonly releasePath: string;
};

export type ServicesWish = ReleaseWish & {
  /** This machine's address on the wire. */
  readonly address: string;
  /** How many nodes may join. */
  readonly nodes: number;
  /** For keys and databases. */
  readonly folder: string;
  /** Signs a copy of what was built, in a folder of its own, and leaves `dist/release` as it is. */
  readonly hasOwnRelease?: boolean;
  readonly onFetch: (event: ServeEvent) => void;
  /** Where machines tell what they do: the kernel's `console=` arguments. */
  readonly consoles?: readonly string[];
  /** A first stage that machines boot in place of the release's own. */
  readonly firstStagePath?: string;
  /** Sends the machines on the wire to the boot server. */
  readonly startDhcp: (programs: FirstPrograms) => Promise<void>;
};

/** The grid's name; it stands in everything that is signed. */
export const GRID = 'lab';

const DIRECTORY_PORT = 8080;
const BOOT_PORT = 8081;
/** Two of the three have to have seen what a node takes. */
const WITNESS_PORTS = [8091, 8092, 8093];

/** Starts directory, farm and boot server for a release that is built; throws `BootError`. */
export async function openServices(wish: ServicesWish): Promise<Services> {
  const { root, address, folder, onEvent } = wish;
  await using stack = new AsyncDisposableStack();
  const at = { root, grid: GRID, host: address, folder: join(folder, 'directory'), onEvent };
  const witnesses = stack.use(await startWitnesses({ ...at, ports: WITNESS_PORTS }));
  const directory = stack.use(
    await startDirectory({ ...at, port: DIRECTORY_PORT, witnesses: witnesses.wishes }),
  );
  const releasePath = await releaseOf(wish);
  const named = { urls: [directory.url], identity: directory.identity };
  const grid = { grid: GRID, directory: named, record: { policy: directory.policy } };
  await signGrid({ ...wish, grid, directoryUrl: directory.url, releasePath });
  const bot = openBot({ root, home: join(folder, 'zos'), directoryUrl: directory.url });
  const farm = await makeFarm({ bot, name: 'farm', tokens: wish.nodes, onEvent });
  wish.signal.throwIfAborted();
  const bootServer = stack.use(
    await openBootServer({
      address,
      port: BOOT_PORT,
      releasePath,
      imagesPath: join(root, 'dist/images'),
      farm,
      ...(wish.firstStagePath === undefined ? {} : { firstStagePath: wish.firstStagePath }),
      ...(wish.consoles === undefined ? {} : { consoles: wish.consoles }),
      onEvent: wish.onFetch,
    }),
  );
  const { scriptUrl, efiUrl } = bootServer;
  const efiPath = join(releasePath, 'zos.efi');
  await wish.startDhcp({ scriptUrl, efiUrl, efiPath, biosFolder: releasePath });
  onEvent({ subject: 'boot server', state: 'done', text: `DHCP and ${bootServer.url}` });
  const open = stack.move();
  const imagesUrl = `${bootServer.url}/images`;
  return {
    directory,
    witnesses,
    bootServer,
    bot,
    imagesUrl,
    releasePath,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function releaseOf({ root, folder, hasOwnRelease }: ServicesWish): Promise<string> {
  if (hasOwnRelease !== true) return join(root, 'dist/release');
  const releasePath = join(folder, 'release');
  await copyRelease(root, releasePath);
  return releasePath;
}

/** An empty folder for one grid, which goes with it, and with all that was written to it. */
export async function openFolder(path: string): Promise<AsyncDisposable> {
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true });
  await remove();
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { [Symbol.asyncDispose]: remove };
}
