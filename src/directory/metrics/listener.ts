import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SECOND_MS } from '../../lib/units.ts';
import type { Metrics } from './metrics.ts';

const CONNECTIONS_MAX = 16;

/**
 * Serves `/metrics` and nothing else, at an address of its own: what is asked of the directory by
 * everybody can't crowd out who watches it, and what it counts is not for everybody.
 */
export async function listenForMetrics(
  metrics: Metrics,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer({ requestTimeout: 5 * SECOND_MS }, (asked, answer) => {
    if (asked.method !== 'GET' || asked.url !== '/metrics') {
      answer.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => answer.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => answer.writeHead(500).end(),
    );
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(port, host);
  await once(server, 'listening');
  const { address, family, port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}/metrics`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
