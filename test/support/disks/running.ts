// Runs in a guest as its only program; see `runInGuest`. Faults of disks while the node runs.
import { open, readFile, readlink, rm, statfs, writeFile } from 'node:fs/promises';
import { writeDurably } from '../../../src/host/files.ts';
import { MiB } from '../../../src/lib/units.ts';
import { openSelf } from '../../../src/node/bringup/identity.ts';
import { MEMORY_FOLDER, nodeFolder, type OwnDisks } from '../../../src/node/disks/opening.ts';
import { prepareMachine } from '../guest/ground.ts';
import { loadDisks, openNode, tell } from './ground.ts';

/** Fills a disk to its last block; answers the code of the refusal. */
async function fill(path: string): Promise<string> {
  await using file = await open(path, 'w');
  const bytes = Buffer.alloc(8 * MiB, 1);
  for (;;) {
    try {
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten < bytes.length) await file.write(bytes, 0, 4096);
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  }
}

const node = openNode(true);

/** A machine with two blank disks, and one that holds something of somebody else. */
async function tryStart(first: OwnDisks, id: string): Promise<unknown> {
  const { watch } = await node.watch(first, 1);
  const folders = [...first.disks.map(({ path }) => `${path}/node`), MEMORY_FOLDER];
  const keys = await Promise.all(
    folders.map(async (folder) => readFile(`${folder}/key.json`, 'utf8').catch(() => 'none')),
  );
  return {
    id,
    boots: first.boots,
    disks: first.disks.map(({ serial, path }) => `${serial} ${path}`),
    refused: first.refused.map(({ disk, because }) => `${disk.serial}: ${because}`),
    areCopiesSame: new Set(keys).size === 1 && keys[0] !== 'none',
    told: watch.disks().map(({ serial, class: kind, health }) => [serial, kind, health.state]),
    wrong: node.wrong(),
  };
}

/** Somebody else has all the room, and the node can still write what it has to. */
async function tryFull(disks: OwnDisks): Promise<unknown> {
  const path = disks.disks[0]?.path ?? '';
  const refusedBy = await fill(`${path}/filler`);
  const { isLost } = await node.watch(disks, 1);
  await writeDurably({ path: `${nodeFolder(disks)}/seq`, bytes: '1001' });
  const wrong = node.wrong();
  const { bavail } = await statfs(path);
  await rm(`${path}/filler`);
  await node.watch(disks, 1);
  return { refusedBy, isLost, wrong, isFreed: bavail > 0, after: node.wrong() };
}

/** Errors in the file system of the first disk: the kernel lets nobody write to it any more. */
async function tryDamage(disks: OwnDisks): Promise<OwnDisks> {
  const name = disks.disks[0]?.device.replace('/dev/', '') ?? '';
  await writeFile(`/sys/fs/ext4/${name}/trigger_fs_error`, 'a test');
  const { isLost } = await node.watch(disks, 1);
  const next = await node.open();
  found['corrupt'] = { isLost, ...(await wordOf(next)) };
  return next;
}

/** A disk is pulled out of the machine. */
async function tryPull(disks: OwnDisks): Promise<void> {
  await node.watch(disks, 1);
  const name = disks.disks[0]?.device.replace('/dev/', '') ?? '';
  const way = (await readlink(`/sys/block/${name}`)).split('/');
  const slot = way.findLast((part) => /^0000:[0-9a-f:.]+$/u.test(part)) ?? '';
  await writeFile(`/sys/bus/pci/devices/${slot}/remove`, '1');
  const { isLost } = await node.watch(disks, 1);
  found['pulled'] = { isLost, ...(await wordOf(await node.open())) };
}

async function wordOf(disks: OwnDisks) {
  const folder = nodeFolder(disks);
  return {
    path: disks.path,
    wrong: node.wrong(),
    disks: disks.disks.map(({ serial }) => serial),
    id: (await openSelf(folder)).identity.id,
    seq: await readFile(`${folder}/seq`, 'utf8'),
    boots: disks.boots,
  };
}

const found: Record<string, unknown> = {};
await tell(found, async () => {
  await prepareMachine();
  await loadDisks();
  const first = await node.open();
  const { identity } = await openSelf(nodeFolder(first));
  await writeDurably({ path: `${nodeFolder(first)}/seq`, bytes: '1000' });
  found['start'] = await tryStart(first, identity.id);
  found['full'] = await tryFull(first);
  await tryPull(await tryDamage(first));
});
