import { CONSOLES, KERNEL_ARGUMENTS, type Loader } from '../../src/artifact/command-line.ts';

/** The name of the file system, on stick and disc, that the local loader looks for. */
export const MEDIUM_LABEL = 'ZOS';
/** The folder there that holds kernel and first stage. */
export const MEDIUM_FOLDER = 'zos';

const FROM = {
  // What lies on another medium of this name passes the same checks.
  local: `search --no-floppy --set=medium --label ${MEDIUM_LABEL}
set from="($medium)/${MEDIUM_FOLDER}/"`,
  // The folder that the loader itself came from, on the server that it came from.
  network: `regexp --set=1:folder '^/*(.*/)[^/]*$' "$net_pxe_boot_file"
set from="(tftp)/$folder"`,
} satisfies Record<Loader, string>;

/**
 * What GRUB does, from its own memory: nothing here is read from a medium. It asks nobody, shows no
 * menu, and gives nobody its command line (a superuser who does not exist); what it can't check it
 * does not start, says so, and starts again.
 */
export function loaderScript(loader: Loader): string {
  const options = [...KERNEL_ARGUMENTS, ...CONSOLES, `zos.loader=${loader}`].join(' ');
  const again = 'nothing of it runs, starts again in 10 seconds';
  return `set superusers=nobody
export superusers
${FROM[loader]}
echo "zos: loader checks \${from}vmlinuz"
if linux \${from}vmlinuz ${options}; then
  echo "zos: loader checks \${from}initramfs.cpio"
  if initrd \${from}initramfs.cpio; then
    echo "zos: loader starts the kernel"
    boot
  fi
  echo "zos: loader refused initramfs.cpio: the line above says why; ${again}"
else
  echo "zos: loader refused vmlinuz: the line above says why; ${again}"
fi
sleep 10
reboot
`;
}
