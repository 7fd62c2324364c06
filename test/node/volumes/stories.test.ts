import { expect, test } from 'vitest';
import { encodeBody, volumeSecretKey } from '../../../src/contract/checks/body.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import { MiB } from '../../../src/lib/units.ts';
import { VOLUME_HEADER_BYTES } from '../../../src/volume/spec.ts';
import { makeContract, makePerson } from '../../support/contracts.ts';
import { Story } from '../../support/node/story.ts';

const BODY = encodeBody({ salt: '5a'.repeat(32), secrets: { [volumeSecretKey('data')]: 'AAAA' } });
const DISK = { path: '/disk', serial: 'DISK', class: 'hdd' } as const;

/** A shop with one volume of so many MiB. */
function shopWith(sha256: string, lengthMiB: number, over: Partial<Contract> = {}) {
  const { workloads, resources } = makeContract(makePerson('any'));
  const lengthBytes = lengthMiB * MiB;
  const volume = { kind: 'volume', name: 'data', class: 'hdd', format: 'ext4', lengthBytes };
  const changed = workloads.flatMap((workload) =>
    workload.kind === 'container'
      ? [
          {
            ...workload,
            image: { ...workload.image, sha256 },
            znet: null,
            volumes: [{ volume: 'data', path: '/run/data' }],
          },
        ]
      : [],
  );
  return {
    workloads: [volume as Contract['workloads'][number], ...changed],
    resources: { ...resources, hddBytes: lengthBytes + VOLUME_HEADER_BYTES },
    body: BODY.digest,
    ...over,
  };
}

async function running(): Promise<{ story: Story; sha256: string }> {
  const story = new Story();
  story.disks = [DISK];
  const sha256 = story.image('a', 8 * MiB, true);
  story.contracts = [story.contract('SHOP', shopWith(sha256, 64), BODY.text)];
  await story.pass('a contract with a volume comes');
  return { story, sha256 };
}

test('a volume waits for its key and its disk, is made, grown and erased', async () => {
  const story = new Story();
  const sha256 = story.image('a', 8 * MiB, true);
  story.contracts = [story.contract('SHOP', shopWith(sha256, 64))];
  await story.pass('a machine without a disk comes up, and the key has to be sent again');
  story.contracts = [story.contract('SHOP', shopWith(sha256, 64), BODY.text)];
  await story.pass('the directory sent the private body again');
  story.disks = [DISK];
  await story.pass('a disk is here');
  await story.pass('a look at the machine after that');
  const [{ id, digest } = { id: '', digest: '' }] = story.contracts;
  const next = { id, version: 2, previous: digest };
  story.contracts = [story.contract('SHOP', shopWith(sha256, 128, next), BODY.text)];
  await story.pass('the next version asks for more');
  story.contracts = [];
  story.over.add(id);
  await story.pass('its tenant cancelled the contract');
  await expect(story.print()).toMatchFileSnapshot('../../golden/node/volume.txt');
});

test('a volume whose contract nobody is known to have ended is left as it is', async () => {
  const { story } = await running();
  const [shop] = story.contracts;
  story.contracts = [];
  await story.pass('the file of the contract was damaged');
  story.nowMs = (shop?.notAfterMs ?? 0) - 1;
  await story.pass('a moment before its end');
  story.nowMs += 1;
  await story.pass('its end is past');
  await expect(story.print()).toMatchFileSnapshot('../../golden/node/volume-kept.txt');
});

test('a volume whose disk is gone is waited for, and not made anew on another', async () => {
  const { story } = await running();
  const [[id, have] = ['', undefined]] = story.machine.volumes;
  if (have === undefined) throw new Error('There is no volume.');
  story.machine.volumes.set(id, { ...have, filePath: undefined, device: undefined });
  story.machine.containers.clear();
  story.disks = [{ ...DISK, path: '/other', serial: 'OTHER' }];
  await story.pass('its disk was pulled, and another is here');
  story.machine.volumes.set(id, { ...have, device: undefined, isMounted: false });
  await story.pass('the disk is back');
  await expect(story.print()).toMatchFileSnapshot('../../golden/node/volume-disk.txt');
});
