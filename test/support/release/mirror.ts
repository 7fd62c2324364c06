import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** How a mirror answers for one path instead of sending the file. */
export type Fault = (exchange: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The file as it should be; empty when there is none. */
  readonly bytes: Buffer;
}) => void;

export type Mirror = AsyncDisposable & { readonly url: string; readonly paths: readonly string[] };

/** A real HTTP server over a folder, which lies, breaks and stalls where it is told to. */
export async function openMirror(
  folder: string,
  faults: Readonly<Record<string, Fault>> = {},
): Promise<Mirror> {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').slice(1);
    paths.push(path);
    void readFile(join(folder, path)).then(
      (bytes) => (faults[path] ?? sendFile)({ request, response, bytes }),
      () => (faults[path] ?? notFound)({ request, response, bytes: Buffer.alloc(0) }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    paths,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The file, or the range of it that was asked for. */
export const sendFile: Fault = ({ request, response, bytes }) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/u.exec(request.headers.range ?? '') ?? [];
  if (first === undefined || last === undefined) {
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    return;
  }
  const part = bytes.subarray(Number(first), Number(last) + 1);
  const range = `bytes ${first}-${last}/${bytes.length}`;
  response.writeHead(206, { 'content-length': part.length, 'content-range': range }).end(part);
};

const notFound: Fault = ({ response }) => {
  response.writeHead(404).end();
};

/** Every way in which a mirror fails that a test asks for by name. */
export const FAULTS = {
  /** One bit in the middle of the file. */
  flipped: (exchange) => sendFile({ ...exchange, bytes: flipBit(exchange.bytes) }),
  /** A shorter file, properly announced. */
  short: (exchange) => sendFile({ ...exchange, bytes: exchange.bytes.subarray(0, -10) }),
  /** The connection ends in the middle. */
  brokenOff: ({ response, bytes }) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
  },
  missing: notFound,
  failing: ({ response }) => response.writeHead(500).end('sorry'),
  redirect: ({ response }) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  /** A hotel's network, which answers every request with its own page. */
  portal: ({ response }) => response.writeHead(200).end('<html><body>Log in</body></html>'),
  /** More than anybody asked for, without an end. */
  endless: ({ response }) => {
    response.writeHead(200);
    const push = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
      if (!response.destroyed) response.once('drain', push);
    };
    push();
  },
  /** All of it, and then blanks: a thousand times as long, and still JSON. */
  huge: (exchange) => {
    const blanks = Buffer.alloc(exchange.bytes.length * 999, 0x20);
    sendFile({ ...exchange, bytes: Buffer.concat([exchange.bytes, blanks]) });
  },
  /** Always a little more, and never enough. */
  dripping: ({ response, bytes }) => {
    response.writeHead(200, { 'content-length': bytes.length });
    let sent = 0;
    const timer = setInterval(() => {
      if (response.destroyed) clearInterval(timer);
      else response.write(bytes.subarray(sent, (sent += 1)));
    }, 20);
  },
  /** It says it will, and does not. */
  silent: ({ response, bytes }) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 5));
  },
} satisfies Record<string, Fault>;

/** The file with one bit turned over. */
export function flipBit(bytes: Buffer, bit = Math.floor(bytes.length / 2) * 8): Buffer {
  const copy = Buffer.from(bytes);
  copy[Math.floor(bit / 8)] = (copy[Math.floor(bit / 8)] ?? 0) ^ (1 << (bit % 8));
  return copy;
}
