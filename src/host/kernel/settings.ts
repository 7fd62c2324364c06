/** A setting of the kernel's, by its path below `/proc/sys`. */
export type Setting = { readonly path: string; readonly value: string; readonly why: string };

/**
 * What the kernel is told in the first stage, before there is a driver of a network card, and again
 * by the agent, which reads it back. In the words that the kernel itself reads back.
 */
export const SETTINGS: readonly Setting[] = [
  // What a process may learn of the kernel.
  row('kernel/kptr_restrict', '2', 'no address of the kernel is shown to anybody'),
  row('kernel/dmesg_restrict', '1', 'its log is for root alone'),
  row('kernel/perf_event_paranoid', '3', 'no counters of the processor without a capability'),
  row('kernel/randomize_va_space', '2', 'programs lie where nobody can guess'),
  row('vm/mmap_rnd_bits', '32', 'with all the chance there is'),

  // Ways deep into the kernel that nothing of ours takes.
  row('kernel/unprivileged_bpf_disabled', '1', 'no programs in the kernel; never again this boot'),
  row('net/core/bpf_jit_harden', '2', 'constants of filters can’t be made into code'),
  row('kernel/io_uring_disabled', '2', 'nothing of ours uses it, and many holes were there'),
  row('vm/unprivileged_userfaultfd', '0', 'nobody holds the kernel up in the midst of a copy'),
  row('kernel/unprivileged_userns_clone', '0', 'only root makes user namespaces, as crun does'),
  row('dev/tty/ldisc_autoload', '0', 'no line disciplines by asking'),
  row('dev/tty/legacy_tiocsti', '0', 'nobody types for another'),
  row('vm/mmap_min_addr', '65536', 'a null pointer in the kernel is nobody’s memory'),

  // What root itself can’t do any more, and what the kernel runs by itself.
  row('kernel/yama/ptrace_scope', '3', 'nobody looks into another process; never again this boot'),
  row('kernel/sysrq', '0', 'no keyboard orders the kernel about'),
  row('kernel/ctrl-alt-del', '0', 'nor restarts it at once'),
  row('kernel/kexec_load_limit_panic', '0', 'there is no kernel for crashes'),
  row('kernel/modprobe', '', 'the kernel starts no program to load modules'),
  row('kernel/core_pattern', '|/nonexistent', 'memory of a program that crashed is kept nowhere'),
  row('fs/suid_dumpable', '0', 'and of one with privileges least of all'),
  row('kernel/usermodehelper/bset', '0 0', 'a program that the kernel starts could do nothing'),
  row('kernel/usermodehelper/inheritable', '0 0', 'nor what it starts'),
  row('kernel/panic_on_oops', '1', 'nobody knows in which state it is: last words, and anew'),

  // Files that others may write to.
  row('fs/protected_symlinks', '1', 'no link of another is followed in /tmp'),
  row('fs/protected_hardlinks', '1', 'no name for what is another’s'),
  row('fs/protected_fifos', '2', 'no pipe of another is written to'),
  row('fs/protected_regular', '2', 'nor a file'),

  // The wire: a node is no router, answers nobody who asks whether it is there, and is told no way.
  row('net/ipv4/ip_forward', '0', 'nothing is passed on'),
  row('net/ipv6/conf/all/forwarding', '0', 'nothing is passed on'),
  row('net/ipv4/icmp_echo_ignore_all', '1', 'no answer to ping, also without a firewall'),
  row('net/ipv6/icmp/echo_ignore_all', '1', 'no answer to ping, also without a firewall'),
  row('net/ipv4/icmp_echo_ignore_broadcasts', '1', 'nor to all at once'),
  row('net/ipv4/icmp_ignore_bogus_error_responses', '1', 'nonsense is not logged'),
  row('net/ipv4/tcp_syncookies', '1', 'half-open connections fill no table'),
  row('net/ipv4/tcp_mtu_probing', '1', 'a small MTU on the way is found where nobody tells of it'),
  row('net/ipv4/tcp_rfc1337', '1', 'a reset ends no connection that is waiting for its end'),
  ...perInterface('ipv4', 'accept_redirects', '0', 'a neighbour sends us no other way'),
  ...perInterface('ipv4', 'secure_redirects', '0', 'nor does a router'),
  ...perInterface('ipv4', 'send_redirects', '0', 'a node is no router'),
  ...perInterface('ipv4', 'accept_source_route', '0', 'a sender does not choose the way back'),
  ...perInterface('ipv4', 'route_localnet', '0', '127.0.0.0/8 is not on the wire'),
  ...perInterface('ipv4', 'rp_filter', '2', 'nothing from where there is no way back to'),
  ...perInterface('ipv4', 'arp_ignore', '1', 'each card answers for its own addresses'),
  ...perInterface('ipv4', 'arp_announce', '2', 'and asks with its own'),
  ...perInterface('ipv6', 'accept_redirects', '0', 'a neighbour sends us no other way'),
  ...perInterface('ipv6', 'accept_source_route', '0', 'a sender does not choose the way back'),
];

/** How far the kernel locks root out (kernel_lockdown(7)); it starts with `integrity`. */
export const LOCKDOWN = 'confidentiality';

/** Something that guides for hardening ask and that is otherwise here, with the reason. */
export type Exception = {
  readonly what: string;
  /** Its path below `/proc/sys`, or an argument of the kernel's, as it is here. */
  readonly is: { readonly path: string; readonly value: string } | { readonly lacks: string };
  readonly why: string;
};

export const EXCEPTIONS: readonly Exception[] = [
  {
    what: 'kernel.kexec_load_disabled=1',
    is: { path: 'kernel/kexec_load_disabled', value: '0' },
    why: 'a release with a newer kernel is gone to that way; lockdown takes signed ones only',
  },
  {
    what: 'user.max_user_namespaces=0',
    is: { path: 'kernel/unprivileged_userns_clone', value: '0' },
    why: 'each container has a user namespace of its own; only root makes them',
  },
  {
    what: 'net.ipv4.conf.all.rp_filter=1',
    is: { path: 'net/ipv4/conf/all/rp_filter', value: '2' },
    why: 'a node with two cards in one network gets its answers by either',
  },
  {
    what: 'net.ipv6.conf.all.accept_ra=0',
    is: { path: 'net/ipv6/conf/all/accept_ra', value: '1' },
    why: 'an IPv6 address and a way out come by router advertisements',
  },
  {
    what: 'net.ipv4.tcp_timestamps=0',
    is: { path: 'net/ipv4/tcp_timestamps', value: '1' },
    why: 'fast lines need them, and they are told to those alone whom the node talks to',
  },
  {
    what: 'vm.memfd_noexec=2',
    is: { path: 'vm/memfd_noexec', value: '0' },
    why: 'PID 1 and crun run from sealed copies of themselves in memory',
  },
  {
    what: 'init_on_free=1',
    is: { lacks: 'init_on_free' },
    why: 'pages are wiped before they are given out (INIT_ON_ALLOC); once is enough',
  },
  {
    what: 'mitigations=auto,nosmt',
    is: { lacks: 'nosmt' },
    why: 'half of the capacity; the kernel’s own choice is kept, and a farmer may turn it off',
  },
];

function row(path: string, value: string, why: string): Setting {
  return { path, value, why };
}

/** For the interfaces there are, and for those to come. */
function perInterface(...[family, name, value, why]: readonly [string, string, string, string]) {
  return ['all', 'default'].map((which) => row(`net/${family}/conf/${which}/${name}`, value, why));
}
