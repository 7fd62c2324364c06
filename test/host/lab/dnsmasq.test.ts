import { expect, test } from 'vitest';
import { dnsmasqArgs } from '../../../src/host/lab/dnsmasq.ts';

const tftp = { folder: '/tmp/dhcp/tftp', bios: 'undionly.kpxe', efi: 'zos.efi' };
const boot = {
  scriptUrl: 'http://10.0.0.1:8081/boot.ipxe',
  efiUrl: 'http://10.0.0.1:8081/zos.efi',
  tftp,
};
const wish = { link: 'eth1', folder: '/tmp/dhcp' };

const always = [
  '--keep-in-foreground',
  '--log-facility=-',
  '--conf-file=/dev/null',
  '--port=0',
  '--interface=eth1',
  '--bind-interfaces',
  '--except-interface=lo',
  '--no-ping',
  '--dhcp-leasefile=/tmp/dhcp/leases',
  '--dhcp-authoritative',
  '--log-dhcp',
  '--user=',
  '--pid-file=',
];

test('with addresses of its own it serves DHCP, the script to iPXE, and a program to others', () => {
  const addresses = { from: '10.0.0.100', to: '10.0.0.199' };
  expect(dnsmasqArgs({ ...wish, addresses, boot })).toEqual([
    ...always,
    '--dhcp-range=10.0.0.100,10.0.0.199,1h',
    '--dhcp-option=3',
    '--dhcp-userclass=set:ipxe,iPXE',
    '--dhcp-match=set:ipxe,175',
    '--dhcp-boot=tag:ipxe,http://10.0.0.1:8081/boot.ipxe',
    '--dhcp-vendorclass=set:http,HTTPClient',
    '--dhcp-option-force=tag:http,60,HTTPClient',
    '--dhcp-boot=tag:http,http://10.0.0.1:8081/zos.efi',
    '--enable-tftp',
    '--tftp-root=/tmp/dhcp/tftp',
    '--tftp-no-fail',
    '--dhcp-match=set:efi,option:client-arch,7',
    '--dhcp-match=set:efi,option:client-arch,9',
    '--dhcp-boot=tag:!ipxe,tag:!http,tag:!efi,undionly.kpxe',
    '--dhcp-boot=tag:!ipxe,tag:!http,tag:efi,zos.efi',
  ]);
});

test('a machine named plain is sent to the program that others get, although it is iPXE', () => {
  const addresses = { from: '10.0.0.100', to: '10.0.0.199' };
  const plainMacs = ['52:54:00:00:00:01'];
  const args = dnsmasqArgs({ ...wish, addresses, boot: { ...boot, plainMacs } });
  expect(args).toContain('--dhcp-boot=tag:ipxe,tag:!plain,http://10.0.0.1:8081/boot.ipxe');
  expect(args.slice(-2)).toEqual([
    '--dhcp-host=52:54:00:00:00:01,set:plain',
    '--dhcp-boot=tag:plain,tag:!http,tag:!efi,undionly.kpxe',
  ]);
});

test('as a proxy it gives no address, and answers only what to boot', () => {
  const args = dnsmasqArgs({ ...wish, addresses: { proxy: '10.0.0.0' }, boot });
  expect(args.filter((arg) => arg.startsWith('--dhcp-range'))).toEqual([
    '--dhcp-range=10.0.0.0,proxy',
  ]);
  expect(args.filter((arg) => arg.startsWith('--pxe-service'))).toEqual([
    '--pxe-service=tag:ipxe,X86PC,"Zero-OS",http://10.0.0.1:8081/boot.ipxe',
    '--pxe-service=tag:ipxe,X86-64_EFI,"Zero-OS",http://10.0.0.1:8081/boot.ipxe',
    '--pxe-service=tag:ipxe,BC_EFI,"Zero-OS",http://10.0.0.1:8081/boot.ipxe',
    '--pxe-service=tag:!ipxe,X86PC,"Zero-OS",undionly.kpxe',
    '--pxe-service=tag:!ipxe,X86-64_EFI,"Zero-OS",zos.efi',
    '--pxe-service=tag:!ipxe,BC_EFI,"Zero-OS",zos.efi',
  ]);
});

test('without the boot programs it serves iPXE alone, and no TFTP', () => {
  const addresses = { from: '10.0.0.100', to: '10.0.0.199', router: '10.0.0.1' };
  const { scriptUrl } = boot;
  const args = dnsmasqArgs({ ...wish, addresses, boot: { scriptUrl } });
  expect(args.filter((arg) => arg.includes('tftp') || arg.includes('undionly'))).toEqual([]);
  expect(args).toContain('--dhcp-option=3,10.0.0.1');
});
