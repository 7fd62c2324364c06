/**
 * The system calls of a container: what is not named here does not exist for it (ENOSYS), so that
 * programs take their older way instead of stopping. Left out on purpose: mounts and namespaces,
 * modules, kexec and bpf, io_uring, userfaultfd, perf, tracing and reading of other processes,
 * keyrings, sockets but for local, IP and route queries (AF_ALG, AF_PACKET, AF_VSOCK reach far into
 * the kernel), and all 32-bit calls.
 */
const FILES = `
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr
flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents
getdents64 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown
lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat memfd_create mkdir
mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64
pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat renameat2
rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee
truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev`;

const MEMORY = `
brk get_mempolicy madvise map_shadow_stack mbind membarrier mincore mlock mlock2 mlockall mmap
mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
remap_file_pages set_mempolicy`;

const PROCESSES = `
arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait
futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups
getitimer getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid
gettid getuid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal prctl prlimit64
restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid
setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack signalfd
signalfd4 sysinfo tgkill time times tkill uname vfork wait4 waitid`;

const EVENTS = `
alarm clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_ctl_old
epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getrandom gettimeofday nanosleep
poll ppoll pselect6 select timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime`;

const MESSAGES = `
accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify
mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg
recvmsg semctl semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt
shmget shutdown socketpair`;

/** One rule of the OCI runtime specification's `linux.seccomp.syscalls`. */
export type SeccompRule = {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW';
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo?: number;
    readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_MASKED_EQ';
  }[];
};

const ENOSYS = 38;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
/** All the flags of clone(2) that make a namespace: CLONE_NEW*. */
const NAMESPACE_FLAGS = 0x7e020000;
const PERSONALITIES = [0, 0x0008, 0x20000, 0x20008, 0xffffffff];

/** The profile in the words of the OCI runtime specification. */
export const SECCOMP_PROFILE = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: ENOSYS,
  // The only one: libseccomp kills whoever calls by another, such as the 32-bit gate.
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: rules(),
} as const;

function rules(): SeccompRule[] {
  const action = 'SCMP_ACT_ALLOW';
  const equal = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' }) as const;
  const names = [FILES, MEMORY, PROCESSES, EVENTS, MESSAGES].flatMap((text) =>
    text.trim().split(/\s+/u),
  );
  const masked = {
    index: 0,
    value: NAMESPACE_FLAGS,
    valueTwo: 0,
    op: 'SCMP_CMP_MASKED_EQ',
  } as const;
  return [
    { names, action },
    // clone3 hides its flags in memory, where no filter sees them; without it clone is used.
    { names: ['clone'], action, args: [masked] },
    ...[AF_UNIX, AF_INET, AF_INET6].map((family): SeccompRule => ({
      names: ['socket'],
      action,
      args: [equal(0, family)],
    })),
    // getaddrinfo and if_nametoindex ask the kernel by it.
    { names: ['socket'], action, args: [equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)] },
    ...PERSONALITIES.map((persona): SeccompRule => ({
      names: ['personality'],
      action,
      args: [equal(0, persona)],
    })),
  ];
}
