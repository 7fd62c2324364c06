import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLab } from '../../boot/lab/lab.ts';
import { listLinks } from '../../src/host/net/ip.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { npmStart } from '../support/npm-start.ts';

const ROOT = join(import.meta.dirname, '../..');

test(
  'npm start with --interface and --no-vm serves machines on a wire that it did not make',
  { timeout: 25 * MINUTE_MS },
  async () => {
    // The rack: a wire with machines on it, which know nothing of who will serve them.
    await using lab = await openLab({ name: 'rack' });
    const links = await listLinks();
    const card = links.find(({ addresses }) =>
      addresses.some(({ address }) => address === lab.address),
    );
    await using start = npmStart(ROOT, ['--interface', card?.name ?? '', '--no-vm', '--once']);
    await start.waitFor('over the network');
    for (const [index, name] of ['rack1', 'rack2'].entries()) {
      const diskPath = await lab.makeDisk(name, 1024);
      await lab.startGuest({ name, mac: `52:54:00:7a:00:0${index}`, memoryMiB: 1024, diskPath });
    }
    expect(await start.ended).toBe(0);
    expect(start.printed()).toMatch(/<!doctype html>[^]*<\/html>/iu);
  },
);
