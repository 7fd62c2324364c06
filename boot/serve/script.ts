/**
 * What every kernel of ours is started with. erofs is mounted from a file on the root file system,
 * which a ramfs can do and a tmpfs can not; a crash restarts the machine.
 */
export const KERNEL_ARGUMENTS = ['rootfstype=ramfs', 'quiet', 'loglevel=4', 'panic=10'] as const;

/** The kernel talks on both; the last one is where the node's own lines go: the screen. */
export const CONSOLES = ['console=ttyS0,115200', 'console=tty0'] as const;

/**
 * The script that iPXE runs: kernel, first stage, and this machine's farm file beside it. It tries
 * until it works, since nobody is there to type.
 */
export function bootScript(wish: {
  readonly url: string;
  readonly consoles: readonly string[];
}): string {
  const options = [...KERNEL_ARGUMENTS, ...wish.consoles].join(' ');
  return `#!ipxe
:start
echo Zero-OS from ${wish.url}
kernel ${wish.url}/vmlinuz initrd=initramfs.cpio initrd=farm.cpio ${options} || goto failed
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
