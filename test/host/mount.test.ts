import { expect, test } from 'vitest';
import { listMounts, parseMountinfo } from '../../src/host/mount.ts';

test('mounts are read with their escapes undone', () => {
  const text = `36 35 98:0 /mnt1 /mnt/with\\040space rw,noatime shared:1 - ext4 /dev/a\\134b rw
37 36 0:5 / /data ro,nosuid,nodev - erofs /data/images/x.erofs ro
`;
  expect(parseMountinfo(text)).toEqual([
    {
      path: '/mnt/with space',
      type: 'ext4',
      source: '/dev/a\\b',
      options: ['rw', 'noatime'],
      systemOptions: ['rw'],
    },
    {
      path: '/data',
      type: 'erofs',
      source: '/data/images/x.erofs',
      options: ['ro', 'nosuid', 'nodev'],
      systemOptions: ['ro'],
    },
  ]);
});

test('this machine has its root and its processes mounted', async () => {
  const paths = (await listMounts()).map(({ path }) => path);
  expect(paths).toContain('/');
  expect(paths).toContain('/proc');
});
