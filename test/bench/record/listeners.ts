import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import type { Wants } from '../../../src/contract/wants.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { entryOf, leafHashOf } from '../../../src/record/entry.ts';
import { parsePolicy, type Policy } from '../../../src/record/policy.ts';
import { verifyTlogProof } from '../../../src/record/verify.ts';
import { signQuickly } from '../feed/crowd.ts';
import { inParallel } from '../feed/parallel.ts';
import type { Joined } from './proven.ts';

/** A node's feed, read to the proofs in it. */
export type Listener = {
  readonly node: Joined;
  readonly socket: Socket;
  /** When this contract was proven here, by the same clock as `performance.now()`. */
  readonly wait: (digest: string, waitMs: number) => Promise<number>;
};

/** Opens the feed of every node. */
export async function openListeners(
  directory: { readonly listening: string; readonly policy: string },
  nodes: readonly Joined[],
): Promise<Listener[]> {
  const policy = parsePolicy(utf8(directory.policy));
  const listeners: Listener[] = [];
  await inParallel(nodes, 16, async (node) => {
    const { hostname, port } = new URL(directory.listening);
    const socket = createConnection({ host: hostname, port: Number(port) });
    await once(socket, 'connect');
    listeners.push(listen(node, socket, policy));
    socket.write(requestOf(node, hostname));
    await once(socket, 'data');
  });
  return listeners;
}

function requestOf(node: Joined, host: string): string {
  const path = `/v1/nodes/${node.id}/feed`;
  const nonce = randomBytes(16).toString('hex');
  const request = { grid: 'test', method: 'GET', path, atMs: Date.now(), nonce };
  const envelope = JSON.stringify(signQuickly('request', request, node.key));
  const authorization = `ZOS ${Buffer.from(envelope).toString('base64url')}`;
  return `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${authorization}\r\n\r\n`;
}

function listen(node: Joined, socket: Socket, policy: Policy): Listener {
  const provenMs = new Map<string, number>();
  const waiting = new Map<string, (ms: number) => void>();
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('utf8');
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const data = /^data: (\{.*\})$/mu.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data !== undefined) for (const digest of newIn(data)) tell(digest);
    }
  });
  /** Checks each contract's place as a node does, once. */
  const newIn = (data: string): string[] => {
    const fresh: string[] = [];
    for (const { contract, seq = 0, proof } of (JSON.parse(data) as Wants).contracts) {
      const payload = new Uint8Array(Buffer.from(contract.payload, 'base64'));
      const entry = entryOf(contract.payloadType, payload, { node: node.id, seq });
      if (provenMs.has(entry.digest)) continue;
      const bytes = new Uint8Array(Buffer.from(proof ?? '', 'base64'));
      verifyTlogProof(bytes, leafHashOf(entry), policy);
      fresh.push(entry.digest);
    }
    return fresh;
  };
  const tell = (digest: string): void => {
    const nowMs = performance.now();
    provenMs.set(digest, nowMs);
    waiting.get(digest)?.(nowMs);
  };
  const wait: Listener['wait'] = async (digest, waitMs) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${digest} was never proven`)), waitMs);
      waiting.set(digest, (ms) => {
        clearTimeout(late);
        resolve(ms);
      });
    });
  return { node, socket, wait };
}
