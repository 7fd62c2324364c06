import { type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Refusal } from '../../sdk/api.ts';
import { addressKey } from '../buckets.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { HTTP_STATUS, RefusedError } from '../errors.ts';

/** So many connections one address may hold, so that it can't hold all that there are. */
export const ADDRESS_CONNECTIONS_MAX = 1000;

/** Refuses what one address opens beyond its share. */
export function limitConnections(server: Server, addressMax: number, metrics: Metrics): void {
  const open = new Map<string, number>();
  metrics.watch({
    name: 'connections',
    help: 'Connections that are open, feeds among them.',
    read: async () => open.values().reduce((sum, count) => sum + count, 0),
  });
  server.on('connection', (socket: Socket) => {
    const key = addressKey(socket.remoteAddress ?? '');
    const count = (open.get(key) ?? 0) + 1;
    open.set(key, count);
    socket.once('close', () => {
      const left = (open.get(key) ?? 1) - 1;
      if (left > 0) open.set(key, left);
      else open.delete(key);
    });
    if (count <= addressMax) return;
    const sentence = `An address may hold ${addressMax} connections; close some first.`;
    const refusal = new RefusedError('TOO_MANY_CONNECTIONS', sentence);
    metrics.refused(refusal.code);
    refuseOn(socket, refusal);
  });
}

/** What is said to who never sent a whole request, by the error of Node's parser. */
export function brokenRequest(error: { readonly code?: string }): RefusedError {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new RefusedError('REQUEST_SLOW', 'The request came too slowly; send it at once.');
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new RefusedError('HEAD_TOO_LONG', 'The head is too long; send less before the body.');
  }
  return new RefusedError('REQUEST_BROKEN', 'This is no HTTP request; check who sends it.');
}

/** Answers on a connection that has no request yet, and ends it. */
export function refuseOn(socket: Socket, { code, message }: RefusedError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status = HTTP_STATUS[code];
  const body = JSON.stringify({ code, sentence: message } satisfies Refusal);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${body.length}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
