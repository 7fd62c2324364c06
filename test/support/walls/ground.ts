// Part of scripts that run in a guest on a wire; see `startWireGuest`.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { run } from '../../../src/host/exec.ts';
import { runIp } from '../../../src/host/net/ip.ts';
import type { ContainerSpec } from '../../../src/container/plan.ts';
import { containerSpecOf } from '../../../src/container/plan.ts';
import { readLogTail } from '../../../src/container/observe.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { MiB } from '../../../src/lib/units.ts';
import { imageMountPath } from '../../../src/zosfs/plan.ts';
import { comesTrue } from '../guest/ground.ts';

/** The wire as the test told it. */
export type Wire = {
  readonly prefix: string;
  readonly prefix6: string;
  readonly lanPort: string;
};

/** Reads what the test wrote down for this guest. */
export function readWire(): Wire {
  return JSON.parse(readFileSync('/tmp/wire.json', 'utf8')) as Wire;
}

/** The node's own addresses on the farmer's LAN, which is also its way out. */
export async function joinLan({ prefix, prefix6 }: Wire): Promise<void> {
  await runIp([
    'link set dev eth0 up',
    `address add ${prefix}.50/24 dev eth0`,
    `address add ${prefix6}::50/64 dev eth0 nodad`,
    `route add default via ${prefix}.2`,
    `route add default via ${prefix6}::2`,
  ]);
}

export type HostileWish = {
  readonly name: string;
  readonly image: NamedFile;
  readonly script: string;
  readonly attachment: ContainerSpec['attachment'];
  readonly hosts?: ContainerSpec['container']['hosts'];
  readonly pidsMax?: number;
};

/** A container of the hostile image, as a contract would have it. */
export function containerOf(wish: HostileWish): ContainerSpec {
  const { name, image, script, attachment, hosts = [], pidsMax = 64 } = wish;
  return containerSpecOf({
    contract: 'bad'.padEnd(64, '0'),
    container: {
      kind: 'container',
      name,
      image,
      args: ['/bin/sh', '-c', script],
      env: {},
      secrets: [],
      uid: 1000,
      cpuMillis: 1000,
      memoryBytes: 32 * MiB,
      pidsMax,
      znet: attachment === null ? null : 'net',
      hosts: [...hosts],
    },
    rootPath: imageMountPath(image.sha256),
    attachment,
    secrets: [],
  });
}

/** All that a container has said. */
export async function logOf(id: string): Promise<string> {
  return textOf(await readLogTail(id, 60_000));
}

/** Every try of a log with its answer. */
export function answersIn(text: string): Record<string, string> {
  const lines = text.split('\n').flatMap((line) => {
    const [name, answer, ...rest] = line.split('\t');
    return name === undefined || answer === undefined || rest.length > 0 ? [] : [[name, answer]];
  });
  return Object.fromEntries(lines) as Record<string, string>;
}

/** Waits for a word in a container's log. */
export async function says(id: string, word: string, times = 1): Promise<boolean> {
  return comesTrue(async () => (await logOf(id)).split(word).length > times, 600);
}

/** The same tries as root on the node. */
export async function tryAsRoot(imagePath: string, args: readonly string[]): Promise<string> {
  return run({ file: `${imagePath}/bin/hostile`, args, deadlineMs: 120_000 });
}

/** A number out of a file of the kernel's, with or without a key before it. */
export function countIn(path: string, key?: string): number {
  const text = readFileSync(path, 'utf8');
  const line = key === undefined ? text : text.split('\n').find((each) => each.startsWith(key));
  return Number(/\d+/u.exec((line ?? '').slice(key?.length ?? 0))?.[0] ?? Number.NaN);
}

/** A phase on the console, for the test to see. */
export async function phase(name: string): Promise<void> {
  await writeFile('/dev/console', `walls: ${name}\n`);
}
