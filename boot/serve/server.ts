import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { CONSOLES } from '../../src/artifact/command-line.ts';
import { RELEASE_FILES } from '../../src/artifact/spec.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import { type Body, bytesBody, fileBody, sendBody } from './answer.ts';
import { type Farm, openMediaPool, parseMac } from './media.ts';
import { bootScript } from './script.ts';

/** One request, when it came in and when it was answered. */
export type ServeEvent = {
  readonly kind: 'begin' | 'end';
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Of the body: what is to be sent at the beginning, what was sent at the end. */
  readonly bytes: number;
  readonly sinceBeginMs: number;
};

export type BootServerWish = {
  /** The address to listen on, which machines reach; port 0 for any free one. */
  readonly address: string;
  readonly port?: number;
  /** Holds `vmlinuz`, `initramfs.cpio`, `system.erofs`, `grid.json` and `metadata/`. */
  readonly releasePath: string;
  /** Images of containers, served below `/images/`. */
  readonly imagesPath?: string;
  /** Its `mirrors` beside this server itself, which comes first; none for a mirror alone. */
  readonly farm: Farm | null;
  readonly consoles?: readonly string[];
  /** Served as `initramfs.cpio` in place of the release's own. */
  readonly firstStagePath?: string;
  readonly onEvent?: (event: ServeEvent) => void;
};

export type BootServer = AsyncDisposable & {
  readonly url: string;
  readonly scriptUrl: string;
  /** The unified kernel image, for firmware that fetches by itself. */
  readonly efiUrl: string;
  /** Bytes of bodies that a client got so far. */
  readonly sentBytes: (client: string) => number;
  readonly tokensHandedOut: () => number;
};

const CONNECTIONS_MAX = 512;
const CLIENTS_MAX = 4096;
const SERVED = new Set<string>([...RELEASE_FILES, 'sbom.spdx.json']);
const METADATA_FILE = /^metadata\/(?:[1-9][0-9]{0,5}\.root|timestamp|snapshot|targets)\.json$/u;
const IMAGE_FILE = /^images\/[A-Za-z0-9][\w.-]{0,127}$/u;

/**
 * Serves what machines boot from over HTTP: artifacts with HEAD and ranges, the script for iPXE,
 * and each machine's own farm file. Nobody trusts what it sends. Throws `BootError`.
 */
export async function openBootServer(wish: BootServerWish): Promise<BootServer> {
  const sent = new Map<string, number>();
  const server = createServer();
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = 10 * SECOND_MS;
  await listen(server, wish);
  const { port } = server.address() as AddressInfo;
  const url = `http://${wish.address}:${port}`;
  const { farm } = wish;
  const pool =
    farm === null ? undefined : openMediaPool({ ...farm, mirrors: [url, ...farm.mirrors] });
  const find = (target: URL): Promise<Body | undefined> => bodyOf(wish, { url, target, pool });
  server.on('request', (request, response) => {
    void answer({ request, response, find, onEvent: wish.onEvent, sent });
  });
  return {
    url,
    scriptUrl: `${url}/boot.ipxe`,
    efiUrl: `${url}/zos.efi`,
    sentBytes: (client) => sent.get(client) ?? 0,
    tokensHandedOut: () => pool?.handedOut() ?? 0,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function listen(server: Server, { address, port = 0 }: BootServerWish): Promise<void> {
  server.listen(port, address);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    throw new BootError(
      'PORT_IN_USE',
      isTaken
        ? `Port ${port} of ${address} is in use; stop what uses it, or choose another.`
        : `${address} can't be listened on; is it an address of this machine?`,
      { cause },
    );
  }
}

type Place = {
  readonly url: string;
  readonly target: URL;
  readonly pool: ReturnType<typeof openMediaPool> | undefined;
};

/** What lies at an address: by a closed list of names, so no path leads out of the folders. */
async function bodyOf(
  wish: BootServerWish,
  { url, target, pool }: Place,
): Promise<Body | undefined> {
  const path = target.pathname.slice(1);
  if (path === 'boot.ipxe' && pool !== undefined) {
    return bytesBody(bootScript({ url, consoles: wish.consoles ?? CONSOLES }), 'text/plain');
  }
  if (pool !== undefined && (path === 'farm.cpio' || path === 'farm.json')) {
    const mac = parseMac(target.searchParams.get('mac') ?? '');
    if (mac === undefined) return undefined;
    return path === 'farm.json'
      ? bytesBody(pool.jsonFor(mac), 'application/json')
      : bytesBody(pool.cpioFor(mac), 'application/x-cpio');
  }
  if (path === 'initramfs.cpio' && wish.firstStagePath !== undefined) {
    return fileBody(wish.firstStagePath);
  }
  if (SERVED.has(path) || METADATA_FILE.test(path)) {
    return fileBody(join(wish.releasePath, path));
  }
  if (IMAGE_FILE.test(path) && wish.imagesPath !== undefined) {
    return fileBody(join(wish.imagesPath, path.slice('images/'.length)));
  }
  return undefined;
}

type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly find: (target: URL) => Promise<Body | undefined>;
  readonly onEvent: BootServerWish['onEvent'];
  readonly sent: Map<string, number>;
};

async function answer({ request, response, find, onEvent, sent }: Exchange): Promise<void> {
  const startMs = performance.now();
  const client = (request.socket.remoteAddress ?? '').replace(/^::ffff:/u, '');
  const method = request.method ?? '';
  const target = URL.parse(request.url ?? '', 'http://boot');
  const path = target?.pathname ?? '';
  const told = { client, method, path };
  const tell = (kind: ServeEvent['kind'], bytes: number): void => {
    const sinceBeginMs = Math.round(performance.now() - startMs);
    onEvent?.({ kind, ...told, status: response.statusCode, bytes, sinceBeginMs });
  };
  const isRead = method === 'GET' || method === 'HEAD';
  const body = isRead && target !== null ? await find(target).catch(() => undefined) : undefined;
  const sentBytes = await sendBody({
    request,
    response,
    body,
    refusal: isRead ? 404 : 405,
    onBegin: (bytes) => tell('begin', bytes),
  });
  tell('end', sentBytes);
  if (sent.has(client) || sent.size < CLIENTS_MAX) {
    sent.set(client, (sent.get(client) ?? 0) + sentBytes);
  }
}
