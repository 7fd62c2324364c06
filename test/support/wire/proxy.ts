import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export type Proxy = AsyncDisposable & {
  readonly url: string;
  /** What it was asked for: `GET http://...` or `CONNECT host:port`. */
  readonly asked: readonly string[];
};

/** An HTTP proxy (RFC 9110, section 7.6 and 9.3.6) that finds every name at this machine. */
export async function openProxy(at = { host: '127.0.0.1', port: 0 }): Promise<Proxy> {
  const asked: string[] = [];
  const server = createServer((from, to) => {
    asked.push(`${from.method} ${from.url}`);
    const { port, pathname, search } = new URL(from.url ?? '');
    const { method, headers } = from;
    const wish = { host: '127.0.0.1', port, path: pathname + search, method, headers };
    const onward = request(wish, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
    });
    onward.on('error', () => to.writeHead(502).end());
    from.pipe(onward);
  });
  server.on('connect', (from, socket) => {
    asked.push(`CONNECT ${from.url}`);
    const onward = connect(Number(from.url?.split(':')[1]), '127.0.0.1');
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
    onward.pipe(socket).pipe(onward);
  });
  server.listen(at.port, at.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
