import { INITRD_ARGUMENTS, KERNEL_ARGUMENTS } from '../../src/artifact/command-line.ts';

/**
 * The script that iPXE runs: kernel, first stage, and this machine's farm file beside it. It tries
 * until it works, since nobody is there to type.
 */
export function bootScript(wish: {
  readonly url: string;
  readonly consoles: readonly string[];
}): string {
  const options = [...INITRD_ARGUMENTS, ...KERNEL_ARGUMENTS, ...wish.consoles].join(' ');
  return `#!ipxe
:start
echo Zero-OS from ${wish.url}
kernel ${wish.url}/vmlinuz ${options} || goto failed
initrd --name initramfs.cpio ${wish.url}/initramfs.cpio || goto failed
initrd --name farm.cpio ${wish.url}/farm.cpio?mac=\${netX/mac} || goto failed
boot || goto failed
:failed
echo Could not be fetched, tries again in 5 seconds
imgfree
sleep 5
goto start
`;
}
