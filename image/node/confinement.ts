/**
 * What the programs of a node may do, each row with why. The build writes these lists into PID 1's
 * sources as `confinement.h`; `init/confine/` has the kernel keep to them.
 */

type Row = { readonly why: string; readonly names: readonly string[] };

/** The system calls of the courier; any other does not exist for it (ENOSYS). */
export const COURIER_CALLS: readonly Row[] = [
  { why: 'memory; the compiler in V8 needs pages that can be run', names: words('mmap mprotect') },
  { why: 'more of it', names: words('munmap mremap madvise brk membarrier') },
  { why: 'what is open, its socket first', names: words('read readv pread64 write writev close') },
  { why: 'what is open is asked about', names: words('fcntl fstat lseek getcwd') },
  {
    why: 'libraries and settings, of which it sees no others',
    names: words('newfstatat statx access readlink'),
  },
  { why: 'threads wait for each other', names: words('futex set_robust_list rseq sched_yield') },
  { why: 'threads know themselves', names: words('gettid getpid set_tid_address arch_prctl') },
  { why: 'how many threads are worth it', names: words('sched_getaffinity') },
  { why: 'priorities of threads, read', names: words('sched_getparam sched_getscheduler') },
  { why: 'the end', names: words('exit exit_group') },
  {
    why: 'signals that it gets',
    names: words('rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack'),
  },
  { why: 'time', names: words('clock_gettime clock_getres clock_nanosleep nanosleep') },
  { why: 'time, the older ways', names: words('gettimeofday restart_syscall') },
  { why: 'waits for sockets', names: words('epoll_create1 epoll_ctl epoll_wait epoll_pwait') },
  { why: 'waits for sockets in the C library', names: words('poll ppoll') },
  { why: 'one thread wakes another', names: words('eventfd2 pipe2') },
  { why: 'goes out; nothing that lets in (bind, listen, accept)', names: words('connect') },
  { why: 'says', names: words('sendto sendmsg sendmmsg shutdown') },
  { why: 'hears', names: words('recvfrom recvmsg recvmmsg') },
  {
    why: 'settings of its sockets',
    names: words('getsockopt setsockopt getsockname getpeername'),
  },
  { why: 'chance', names: words('getrandom') },
  { why: 'what machine it is', names: words('uname sysinfo getrusage') },
  { why: 'who it is', names: words('getuid geteuid getgid getegid capget') },
];

/** Calls of the courier that only exist with some arguments; `init/confine/filter.c` has which. */
export const COURIER_CALLS_IN_PART: Readonly<Record<string, string>> = {
  openat: 'files are opened for reading alone',
  socket: 'IPv4 and IPv6, TCP and UDP: no packets of its own making, no local sockets',
  clone: 'threads of its own, no processes and no namespaces',
  ioctl: 'what libuv sets on a socket, and whether it is a terminal',
  prctl: 'names of threads',
  prlimit64: 'limits are read',
  tgkill: 'signals go to itself alone (abort)',
  execveat: 'on one descriptor that the first call closes, and that can never be opened again',
};

/** What nothing of the agent, of its tools and of containers may call; refused with EPERM. */
export const AGENT_REFUSED: readonly Row[] = [
  { why: 'looks into other programs', names: words('ptrace process_vm_readv process_vm_writev') },
  { why: 'compares their insides', names: words('kcmp process_madvise pidfd_getfd') },
  { why: 'kernels and modules of no file', names: words('kexec_load init_module') },
  { why: 'takes modules out', names: words('delete_module') },
  {
    why: 'queues into the kernel that no filter looks into',
    names: words('io_uring_setup io_uring_enter io_uring_register'),
  },
  { why: 'holds the kernel up in the middle', names: words('userfaultfd') },
  { why: 'counts the processor’s insides', names: words('perf_event_open lookup_dcookie') },
  { why: 'ports of the processor', names: words('iopl ioperm') },
  { why: 'segments of the processor', names: words('modify_ldt') },
  { why: 'there is no swap', names: words('swapon swapoff') },
  { why: 'nothing is accounted for by processes', names: words('acct quotactl') },
  { why: 'the console', names: words('vhangup') },
  { why: 'the kernel’s log is read as a file', names: words('syslog') },
  { why: 'nobody watches whole file systems', names: words('fanotify_init') },
  { why: 'left over from long ago', names: words('uselib ustat sysfs _sysctl nfsservctl') },
  { why: 'pages of other programs', names: words('move_pages migrate_pages') },
];

/** What one would expect to be refused as well, and why it is not. */
export const AGENT_EXCEPTIONS: Readonly<Record<string, string>> = {
  bpf: 'crun tells the kernel by it which devices a container may open, as cgroup v2 wants it',
  mount: 'images, volumes and the folders of containers are mounted',
  unshare: 'containers and tenant networks live in namespaces of their own',
  setns: 'ip and wg work inside of tenant networks',
  keyctl:
    'crun gives each container a keyring of its own; cryptsetup hands keys to dm-crypt by one',
  finit_module: 'drivers are loaded until bring-up ends; then the kernel takes no more',
  kexec_file_load: 'a newer kernel is made ready; the kernel checks its signature',
  reboot: 'PID 1 alone calls it; a container can’t, as it has no capability',
  mprotect: 'the compiler in V8 needs pages that can be run',
};

/** Capabilities of the agent and its tools; all others are gone from their bounding set. */
export const AGENT_CAPABILITIES: readonly Row[] = [
  { why: 'files of containers get their owners', names: words('CHOWN FOWNER FSETID') },
  { why: 'files of containers are read and written', names: words('DAC_OVERRIDE') },
  { why: 'containers are ended', names: words('KILL') },
  { why: 'containers become who they are', names: words('SETUID SETGID SETPCAP SETFCAP') },
  { why: 'device files of containers', names: words('MKNOD') },
  { why: 'mounts and namespaces', names: words('SYS_ADMIN SYS_CHROOT') },
  { why: 'links, addresses, rules', names: words('NET_ADMIN') },
  { why: 'DHCP and headers of packets', names: words('NET_RAW NET_BIND_SERVICE') },
  { why: 'the clock', names: words('SYS_TIME') },
  { why: 'drivers until bring-up ends', names: words('SYS_MODULE') },
  { why: 'a newer kernel', names: words('SYS_BOOT') },
  { why: 'limits of containers', names: words('SYS_RESOURCE') },
  {
    why: 'processes of containers, in namespaces of theirs, are looked at',
    names: words('SYS_PTRACE'),
  },
  { why: 'the health of disks', names: words('SYS_RAWIO') },
  { why: 'keys of volumes stay in memory', names: words('IPC_LOCK') },
  { why: 'the kernel’s log', names: words('SYSLOG') },
];

/** As the kernel numbers them (linux/capability.h). */
const CAPABILITIES = words(
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE ' +
    'NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO ' +
    'SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME ' +
    'SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG ' +
    'WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE',
);

/** The lists as C; a name that the C library does not have fails the build. */
export function confinementHeader(): string {
  const calls = (name: string, rows: readonly Row[]): string =>
    `__attribute__((unused)) static const unsigned short ${name}[] = {\n${names(rows)
      .map((call) => `    SYS_${call},\n`)
      .join('')}};\n`;
  return [
    '/* Written by image/node/confinement.ts. */\n',
    calls('COURIER_CALLS', COURIER_CALLS),
    calls('COURIER_CALLS_IN_PART', [{ why: '', names: Object.keys(COURIER_CALLS_IN_PART) }]),
    calls('AGENT_REFUSED', AGENT_REFUSED),
    `#define AGENT_CAPABILITIES 0x${agentCapabilities().toString(16)}UL\n`,
  ].join('');
}

/** A bit for each capability of the agent, as `/proc/PID/status` shows them. */
export function agentCapabilities(): bigint {
  return names(AGENT_CAPABILITIES).reduce((bits, name) => bits | (1n << BigInt(at(name))), 0n);
}

function at(name: string): number {
  const number = CAPABILITIES.indexOf(name);
  if (number < 0) throw new Error(`There is no capability ${name}; see image/node/confinement.ts.`);
  return number;
}

function names(rows: readonly Row[]): readonly string[] {
  return rows.flatMap((row) => row.names);
}

function words(text: string): readonly string[] {
  return text.split(' ');
}
