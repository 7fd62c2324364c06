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
  ['emulated', {}, '-accel tcg,thread=single -cpu max,cx16=off -smp 2'],
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

test('a machine with UEFI has no boot ROM on its card, and a TPM where there is one', () => {
  const uefi = { variablesPath: '/tmp/a,b.fd', network: 'http' } as const;
  const args = qemuArgs({ ...machine, uefi, tpmSocketPath: '/tmp/tpm' }).join(' ');
  expect(args).toContain('q35,smm=on');
  expect(args).toContain('driver=cfi.pflash01,property=secure,value=on');
  expect(args).toContain('if=pflash,format=raw,unit=1,file=/tmp/a,,b.fd');
  expect(args).toContain('IPv4PXESupport,string=n');
  expect(args).toContain('romfile=,bootindex=1');
  expect(args).toContain('socket,id=tpm,path=/tmp/tpm');
  expect(args).toContain('tpm-crb,tpmdev=tpm0');
});

test('what is plugged in is tried before the network, and is not written to', () => {
  const media = [
    { path: '/stick', kind: 'usb' },
    { path: '/disc', kind: 'cd' },
  ] as const;
  const args = qemuArgs({ ...machine, media }).join(' ');
  expect(args).toContain('readonly=on,file=/stick -device usb-storage');
  expect(args).toContain('drive=medium0,bootindex=1');
  expect(args).toContain('ide-cd,drive=medium1,bootindex=2');
  expect(args).toContain('mac=52:54:00:00:00:01,bootindex=3');
});
