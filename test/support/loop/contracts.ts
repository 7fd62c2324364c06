// Part of a script that runs in a guest; see `runInGuest`.
import nacl from 'tweetnacl';
import type { Contract } from '../../../src/contract/spec.ts';
import { type VerifiedContract, verifyContract } from '../../../src/contract/verify.ts';
import { signIdentity, verifyIdentity } from '../../../src/identity/document.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { MiB } from '../../../src/lib/units.ts';
import {
  carry,
  GRID,
  makeContract,
  makeKnowledge,
  NODE_ID,
  NOW_MS,
  type Person,
} from '../contracts.ts';

/** What a node is told, one after the other. */
export const PHASES = ['first', 'next', 'none'] as const;
export type Phase = (typeof PHASES)[number];

/** One tenant, the same for every process of the guest. */
function tenant(): Person {
  const seed = new Uint8Array(32).fill(7);
  const sealing = nacl.box.keyPair.fromSecretKey(seed);
  const keys = { signing: nacl.sign.keyPair.fromSeed(seed), sealing };
  const document = signIdentity('tenant', keys);
  return { keys, document, id: verifyIdentity(document).id };
}

/**
 * A contract of two containers, one of them on a network; then its next version, in which one
 * container is another; and then none.
 */
export function contractsOf(phase: Phase, image: NamedFile): readonly VerifiedContract[] {
  if (phase === 'none') return [];
  const own = tenant();
  const changes = changesOf(own, image, '100000');
  const first = carry(own, makeContract(own, changes));
  const held = verifyContract(first, () => makeKnowledge(), GRID);
  if (phase === 'first') return [held];
  const { id, digest: previous } = held;
  const wish = { ...changesOf(own, image, '200000'), id, version: 2, previous };
  const next = carry(own, makeContract(own, wish));
  return [verifyContract(next, () => makeKnowledge({ held }), GRID)];
}

contractsOf.node = NODE_ID;
contractsOf.nowMs = NOW_MS;

function changesOf(own: Person, image: NamedFile, seconds: string): Partial<Contract> {
  const [znet, container] = makeContract(own).workloads;
  if (znet?.kind !== 'znet' || container?.kind !== 'container') throw new Error('Another form.');
  const one = (name: string, args: readonly string[]): Contract['workloads'][number] => ({
    ...container,
    name,
    image,
    uid: 1000,
    memoryBytes: 32 * MiB,
    cpuMillis: 100,
    args: ['/bin/busybox', ...args],
    znet: name === 'alone' ? null : 'net',
  });
  const workloads = [
    { ...znet, peers: [] },
    one('web', ['sleep', seconds]),
    one('alone', ['sleep', '100000']),
  ];
  const { resources } = makeContract(own);
  const more = { cpuMillis: 300, memoryBytes: 96 * MiB, ssdBytes: 64 * MiB };
  return { workloads, resources: { ...resources, ...more } };
}
