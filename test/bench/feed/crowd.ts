import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import {
  type Envelope,
  type PayloadKind,
  payloadTypeOf,
  preAuthenticationEncoding,
} from '../../../src/identity/envelope.ts';
import { keyIdOf } from '../../../src/identity/keys.ts';
import { sha256Hex, utf8 } from '../../../src/lib/bytes.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { CAPACITY } from '../../support/identity/farm.ts';
import { inParallel } from './parallel.ts';

const GRID = 'test';
/** One address may open so many connections a second, so the crowd comes from many of them. */
const CROWD_PER_ADDRESS = 200;

/** One node: OpenSSL signs for it, two hundred times as fast as the node's own library. */
export type Signing = { readonly id: string; readonly document: Envelope; readonly key: KeyPair };
type KeyPair = { readonly publicKey: Uint8Array; readonly privateKey: KeyObject };

/** One node's connection, and what is told of each event that comes on it. */
export type Member = { readonly node: Signing; readonly socket: Socket; onEvent: () => void };

/** An identity with keys of its own; what is sealed to it nobody opens here. */
export function makeQuickly(name: string): Signing {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'));
  const key = { publicKey: raw, privateKey };
  const text = Buffer.from(raw).toString('base64');
  const body = { version: 1, name, signingKeys: [text], threshold: 1, sealingKey: text };
  const document = signQuickly('identity', body, key);
  return { id: sha256Hex(Buffer.from(document.payload, 'base64')), document, key };
}

/** A DSSE envelope, as `signEnvelope` makes it. */
export function signQuickly(kind: PayloadKind, value: unknown, key: KeyPair): Envelope {
  const payload = utf8(JSON.stringify(value));
  const payloadType = payloadTypeOf(kind);
  const covered = preAuthenticationEncoding(payloadType, payload);
  const sig = sign(null, covered, key.privateKey).toString('base64');
  const signatures = [{ keyid: keyIdOf(key.publicKey), sig }];
  return { payloadType, payload: Buffer.from(payload).toString('base64'), signatures };
}

/** Registers every node over HTTP, as it would itself. */
export async function registerCrowd(url: string, crowd: readonly Signing[]): Promise<void> {
  const client = openClient({ baseUrl: url });
  await inParallel(crowd, 32, async (node) => {
    const offer = signQuickly('offer', offerOf(node), node.key);
    const body = { identity: node.document, token: null, farmer: null, offer };
    await patiently(async () => client.registerNode(body));
  });
}

function offerOf({ id }: Signing) {
  const hardware = { board: 'bench', processor: 'bench', networkCards: [], disks: [] };
  const what = { version: 1, capacity: CAPACITY, class: 'unverified', endorsement: null };
  return { grid: GRID, node: id, ...what, hardware };
}

/** Who asks too often is told how long to wait, and waits. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const isTooMany = error instanceof Error && 'code' in error;
      if (!isTooMany || error.code !== 'TOO_MANY_REQUESTS') throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Opens the feed of every node and waits until each has had its first event. */
export async function openFeeds(url: string, crowd: readonly Signing[]): Promise<Member[]> {
  const { hostname, port } = new URL(url);
  const members: Member[] = [];
  await inParallel(crowd, 32, async (node, index) => {
    const address = 1 + Math.floor(index / CROWD_PER_ADDRESS);
    const localAddress = `127.0.${1 + Math.floor(address / 250)}.${1 + (address % 250)}`;
    const socket = createConnection({ host: hostname, port: Number(port), localAddress });
    await once(socket, 'connect');
    const path = `/v1/nodes/${node.id}/feed`;
    const nonce = randomBytes(16).toString('hex');
    const request = { grid: GRID, method: 'GET', path, atMs: Date.now(), nonce };
    const envelope = JSON.stringify(signQuickly('request', request, node.key));
    const authorization = `ZOS ${Buffer.from(envelope).toString('base64url')}`;
    const first = Promise.withResolvers<void>();
    const member: Member = { node, socket, onEvent: first.resolve };
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      if (text.includes('data: {')) member.onEvent();
      else if (text.startsWith('HTTP/1.1') && !text.startsWith('HTTP/1.1 200')) {
        first.reject(new Error(`The directory answered ${text.slice(0, 400)}`));
      }
    });
    socket.on('error', first.reject);
    socket.on('close', () => first.reject(new Error('The directory closed a feed.')));
    const head = [`GET ${path} HTTP/1.1`, `host: ${hostname}`, `authorization: ${authorization}`];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    await first.promise;
    members.push(member);
  });
  return members;
}
