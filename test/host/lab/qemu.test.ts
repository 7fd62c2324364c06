import { expect, test } from 'vitest';
import { type Machine, qemuArgs } from '../../../src/host/lab/qemu.ts';

const machine: Machine = {
  accelerator: 'tcg',
  memoryMiB: 512,
  processors: 2,
  cards: [{ tap: 'tap0', mac: '52:54:00:00:00:01' }],
  diskPaths: ['/tmp/a,b.raw'],
  qmpPath: '/tmp/node.qmp',
};

test('a machine that boots over its card, with a disk', async () => {
  const golden = '../../golden/host/qemu-args.txt';
  await expect(`${qemuArgs(machine).join('\n')}\n`).toMatchFileSnapshot(golden);
});

test.each([
  ['kvm', { accelerator: 'kvm' }, '-accel kvm -cpu host'],
  ['emulated', {}, '-accel tcg,thread=multi -cpu max,cx16=off -smp 2'],
  ['counted', { isCounted: true }, '-icount shift=0,sleep=off'],
  ['ended by a reset', { endsOnReset: true }, '-no-reboot'],
] as const)('a machine that is %s says so', (_, change, expected) => {
  expect(qemuArgs({ ...machine, ...change }).join(' ')).toContain(expected);
});

test('a kernel is booted in place of the network', () => {
  const kernel = { path: '/k', initrdPath: '/i', append: 'quiet panic=-1' };
  const args = qemuArgs({ ...machine, cards: [], diskPaths: [], kernel });
  expect(args.slice(args.indexOf('-kernel'))).toEqual([
    '-kernel',
    '/k',
    '-initrd',
    '/i',
    '-append',
    'quiet panic=-1',
    '-qmp',
    'unix:/tmp/node.qmp,server=on,wait=off',
  ]);
});
