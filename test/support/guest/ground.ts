// Part of a script that runs in a guest; see `runInGuest`.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerSpec } from '../../../src/container/plan.ts';
import { containerSpecOf } from '../../../src/container/plan.ts';
import type { Container } from '../../../src/container/spec.ts';
import { hostRules } from '../../../src/host/net/firewall.ts';
import { runIp } from '../../../src/host/net/ip.ts';
import { loadRules } from '../../../src/host/net/nft.ts';
import { loadModules, loadModulesForDevices, readModuleIndex } from '../../../src/host/modules.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { MiB } from '../../../src/lib/units.ts';
import { imageMountPath } from '../../../src/zosfs/plan.ts';

/** Makes the machine ready as the agent would. */
export async function prepareMachine(): Promise<void> {
  const index = await readModuleIndex();
  const names = ['nf_tables', 'nft_ct', 'wireguard', 'veth', 'erofs', 'ext4'];
  await loadModules(index, names);
  await loadModulesForDevices(index);
  await loadRules(hostRules());
  await runIp(['link set dev lo up']);
}

/** Serves an image on this machine, the sample's if none is named, and names it. */
export async function serveImage(path = '/tmp/web.erofs', port = 8080): Promise<NamedFile> {
  const bytes = readFileSync(path);
  const server = createServer((_request, response) => response.end(bytes));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const source = `http://127.0.0.1:${port}/image.erofs`;
  return { sha256, lengthBytes: bytes.length, sources: [source] };
}

/** A container of the sample image that runs lines of its shell. */
export function shellContainer(wish: {
  readonly name: string;
  readonly image: NamedFile;
  readonly script: string;
  readonly attachment?: ContainerSpec['attachment'];
  readonly hosts?: Container['hosts'];
  readonly secrets?: ContainerSpec['secrets'];
}): ContainerSpec {
  const { name, image, script, attachment = null, hosts = [], secrets = [] } = wish;
  return containerSpecOf({
    contract: 'c0ffee'.padEnd(64, '0'),
    container: {
      kind: 'container',
      name,
      image,
      args: ['/bin/sh', '-c', script],
      env: {},
      secrets: secrets.map(({ name: secret, env }) => ({ name: secret, env })),
      uid: 1000,
      cpuMillis: 500,
      memoryBytes: 32 * MiB,
      pidsMax: 32,
      znet: attachment === null ? null : 'net',
      hosts: [...hosts],
    },
    rootPath: imageMountPath(image.sha256),
    attachment,
    secrets,
  });
}

/** Waits for something that happens by itself; false when it does not in 20 seconds. */
export async function comesTrue(isTrue: () => Promise<boolean>, looksMax = 100): Promise<boolean> {
  for (let look = 0; look < looksMax; look += 1) {
    if (await isTrue()) return true;
    await sleep(200);
  }
  return false;
}

/** Ends the guest. */
export async function powerOff(): Promise<void> {
  await sleep(200);
  await writeFile('/proc/sysrq-trigger', 'o');
  await sleep(10_000);
}
