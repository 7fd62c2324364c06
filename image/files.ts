/**
 * Every file of the image on one page: its path, where it comes from, why it is there, and in which
 * stage. The kernel modules and firmware, which are many, are on `modules.ts`. The audit opens the
 * built image and fails on whatever is not on these two pages.
 */

export type Stage = 'first' | 'second';

/** What the build makes itself; see `parts/`. */
export type Product = 'zos-node' | 'init' | 'module-index' | 'release' | 'trusted-root';

export type Source =
  | { readonly from: 'package'; readonly package: string; readonly path: string }
  | { readonly from: 'build'; readonly product: Product }
  | { readonly from: 'text'; readonly text: string }
  | { readonly from: 'link'; readonly target: string }
  | { readonly from: 'folder' };

export type ImageFile = {
  readonly path: string;
  readonly source: Source;
  readonly why: string;
  readonly stages: readonly Stage[];
};

const BOTH: readonly Stage[] = ['first', 'second'];
const SECOND: readonly Stage[] = ['second'];
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

export const FILES: readonly ImageFile[] = [
  // Ours.
  made('/usr/bin/zos-node', 'zos-node', 'the boot program and the agent: one executable', BOTH),
  made('/sbin/init', 'init', 'PID 1 of the second stage; loads modules and kernels', BOTH),
  made('/usr/lib/modules/index.json', 'module-index', 'which module drives which device', BOTH),
  made('/etc/zos/release.json', 'release', 'name and earliest time of this release', BOTH),
  made('/etc/zos/root.json', 'trusted-root', 'the keys that releases are signed with', BOTH),

  // Tools, each driven by one file in src/host.
  tool('/usr/bin/ip', 'iproute2', 'links, addresses, routes, network namespaces', BOTH),
  tool('/usr/sbin/dhcpcd', 'dhcpcd-base', 'asks the network for an address', BOTH),
  tool('/usr/sbin/nft', 'nftables', "the host firewall and tenants' rules", BOTH),
  tool('/usr/bin/wg', 'wireguard-tools', 'keys and peers of tenant networks', SECOND),
  tool('/usr/bin/crun', 'crun', 'starts containers', SECOND),
  tool('/usr/bin/mount', 'mount', 'mounts the data disk and container images', SECOND),
  tool('/usr/bin/umount', 'mount', 'takes them down', SECOND),
  tool('/usr/sbin/mke2fs', 'e2fsprogs', 'formats a blank data disk', SECOND),
  tool('/usr/sbin/resize2fs', 'e2fsprogs', 'grows a volume', SECOND),
  tool('/usr/sbin/mkfs.xfs', 'xfsprogs', 'formats a volume for which a tenant asks xfs', SECOND),
  tool('/usr/sbin/xfs_growfs', 'xfsprogs', 'grows such a volume', SECOND),
  tool(
    '/usr/sbin/mkfs.btrfs',
    'btrfs-progs',
    'formats a volume for which a tenant asks btrfs',
    SECOND,
  ),
  tool('/usr/bin/btrfs', 'btrfs-progs', 'grows such a volume', SECOND),
  tool('/usr/sbin/cryptsetup', 'cryptsetup-bin', 'encrypts volumes (LUKS2)', SECOND),
  tool('/usr/sbin/losetup', 'mount', 'makes block devices of volumes', SECOND),
  tool('/usr/sbin/fstrim', 'util-linux', 'gives room that a file system freed back', SECOND),
  tool('/usr/sbin/smartctl', 'smartmontools', "reads a disk's health", SECOND),
  tool('/usr/bin/tcpdump', 'tcpdump', 'headers of packets, for a farmer who asks', SECOND),
  tool('/usr/sbin/blkid', 'util-linux', 'tells what is on a disk before anything is', SECOND),
  tool('/usr/bin/date', 'coreutils', 'sets the clock', BOTH),
  tool('/usr/bin/tee', 'coreutils', 'writes settings of a network namespace', SECOND),

  // The loader and libraries, each with who needs it; the build compares with DT_NEEDED.
  loader('/lib64/ld-linux-x86-64.so.2', 'libc6', 'loads every dynamic executable', BOTH),
  library('libc.so.6', 'libc6', 'everything', BOTH),
  library('libm.so.6', 'libc6', 'zos-node, crun', BOTH),
  library('libdl.so.2', 'libc6', 'zos-node', BOTH),
  library('libpthread.so.0', 'libc6', 'zos-node', BOTH),
  library('libstdc++.so.6', 'libstdc++6', 'zos-node', BOTH),
  library('libgcc_s.so.1', 'libgcc-s1', 'zos-node', BOTH),
  library('libatomic.so.1', 'libatomic1', 'zos-node', BOTH),
  library('libcrypto.so.3', 'libssl3t64', 'dhcpcd', BOTH),
  library('libselinux.so.1', 'libselinux1', 'ip, mount', BOTH),
  library('libpcre2-8.so.0', 'libpcre2-8-0', 'libselinux', BOTH),
  library('libbpf.so.1', 'libbpf1', 'ip', BOTH),
  library('libelf.so.1', 'libelf1t64', 'ip, libbpf', BOTH),
  library('libz.so.1', 'zlib1g', 'libelf, libbpf, libcrypto', BOTH),
  library('libzstd.so.1', 'libzstd1', 'libelf, libcrypto', BOTH),
  library('libmnl.so.0', 'libmnl0', 'ip, nft', BOTH),
  library('libcap.so.2', 'libcap2', 'ip, crun', BOTH),
  library('libnftables.so.1', 'libnftables1', 'nft', BOTH),
  library('libnftnl.so.11', 'libnftnl11', 'libnftables', BOTH),
  library('libxtables.so.12', 'libxtables12', 'libnftables', BOTH),
  library('libjansson.so.4', 'libjansson4', 'libnftables', BOTH),
  library('libgmp.so.10', 'libgmp10', 'libnftables', BOTH),
  library('libedit.so.2', 'libedit2', 'nft', BOTH),
  library('libbsd.so.0', 'libbsd0', 'libedit', BOTH),
  library('libmd.so.0', 'libmd0', 'libbsd', BOTH),
  library('libtinfo.so.6', 'libtinfo6', 'libedit', BOTH),
  library('libsystemd.so.0', 'libsystemd0', 'crun', SECOND),
  library('libseccomp.so.2', 'libseccomp2', 'crun', SECOND),
  library('libyajl.so.2', 'libyajl2', 'crun', SECOND),
  library('libmount.so.1', 'libmount1', 'mount, umount', SECOND),
  library('libblkid.so.1', 'libblkid1', 'libmount, mke2fs, blkid', SECOND),
  library('libuuid.so.1', 'libuuid1', 'mke2fs', SECOND),
  library('libext2fs.so.2', 'libext2fs2t64', 'mke2fs', SECOND),
  library('libe2p.so.2', 'libext2fs2t64', 'mke2fs', SECOND),
  library('libcom_err.so.2', 'libcom-err2', 'mke2fs, libext2fs', SECOND),

  library('libinih.so.1', 'libinih1', 'mkfs.xfs', SECOND),
  library('liburcu.so.8', 'liburcu8t64', 'xfs_growfs', SECOND),
  library('libudev.so.1', 'libudev1', 'btrfs', SECOND),
  library('liblzo2.so.2', 'liblzo2-2', 'btrfs', SECOND),
  library('libcryptsetup.so.12', 'libcryptsetup12', 'cryptsetup', SECOND),
  library('libpopt.so.0', 'libpopt0', 'cryptsetup', SECOND),
  library('libsmartcols.so.1', 'libsmartcols1', 'losetup', SECOND),
  library('libpcap.so.0.8', 'libpcap0.8t64', 'tcpdump', SECOND),
  library('libdevmapper.so.1.02.1', 'libdevmapper1.02.1', 'libcryptsetup.so.12', SECOND),
  library('libjson-c.so.5', 'libjson-c5', 'libcryptsetup.so.12', SECOND),
  library('libdbus-1.so.3', 'libdbus-1-3', 'libpcap.so.0.8', SECOND),
  // What the C library and the tools read.
  text('/etc/passwd', 'names for ids; nobody can log in', [
    'root:x:0:0:root:/:/nonexistent',
    'dhcpcd:x:100:100:DHCP client:/run/dhcpcd:/nonexistent',
    'nobody:x:65534:65534:nobody:/nonexistent:/nonexistent',
  ]),
  text('/etc/group', 'names for ids', ['root:x:0:', 'dhcpcd:x:100:', 'nogroup:x:65534:']),
  text('/etc/hosts', 'names without DNS', ['127.0.0.1 localhost', '::1 localhost']),
  text('/etc/nsswitch.conf', 'where names are looked up', ['hosts: files dns']),
  text('/etc/dhcpcd.conf', 'the DHCP client runs no script and keeps no secret', [
    'script ""',
    'clientid',
    'option domain_name_servers, classless_static_routes, interface_mtu, ntp_servers',
    'noipv4ll',
  ]),
  link('/etc/resolv.conf', '/run/resolv.conf', 'the agent writes what DHCP answered'),
  link('/lib', 'usr/lib', 'the kernel looks for firmware in /lib/firmware'),
  link('/etc/mtab', '/proc/self/mounts', 'read by mke2fs and mount'),

  // Where PID 1 and the agent mount things.
  folder('/proc', 'processes'),
  folder('/sys', 'devices and cgroups'),
  folder('/dev', 'device files'),
  folder('/run', 'the state of this boot, in memory'),
  folder('/tmp', 'small files, in memory'),
  folder('/var', 'what dhcpcd keeps, in memory'),
  folder('/data', 'the data disk'),
  folder('/other', 'the system before an update, or the one after it'),
];

/** A row of the table above: where, out of what, why, in which stages. */
type Row<From extends string = string> = readonly [
  path: string,
  from: From,
  why: string,
  stages: readonly Stage[],
];

function made(...[path, product, why, stages]: Row<Product>): ImageFile {
  return { path, source: { from: 'build', product }, why, stages };
}

/** A tool keeps the path it has in its package. */
function tool(...[path, name, why, stages]: Row): ImageFile {
  return { path, source: { from: 'package', package: name, path }, why, stages };
}

function loader(...[path, name, why, stages]: Row): ImageFile {
  const inPackage = `${LIBRARIES}/ld-linux-x86-64.so.2`;
  return { path, source: { from: 'package', package: name, path: inPackage }, why, stages };
}

function library(...[name, pkg, users, stages]: Row): ImageFile {
  return tool(`${LIBRARIES}/${name}`, pkg, `needed by ${users}`, stages);
}

function text(path: string, why: string, lines: readonly string[]): ImageFile {
  return { path, source: { from: 'text', text: `${lines.join('\n')}\n` }, why, stages: BOTH };
}

function link(path: string, target: string, why: string): ImageFile {
  return { path, source: { from: 'link', target }, why, stages: BOTH };
}

function folder(path: string, why: string): ImageFile {
  return { path, source: { from: 'folder' }, why, stages: BOTH };
}
