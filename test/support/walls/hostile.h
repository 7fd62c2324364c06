/* The tries of `hostile.c`: system calls with their numbers for 32-bit programs, and files. */
#ifndef ZOS_HOSTILE_H
#define ZOS_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

struct try {
  const char *name;
  long nr64;
  int nr32; /* asm/unistd_32.h; 0 where there is none */
  long args[5];
};

struct file {
  const char *path;
  int flags;
};

#define AT(text) (long)(text)
#define NEW(flag) CLONE_NEW##flag

static char buffer[4096] __attribute__((aligned(4096)));

static const struct try CALLS[] = {
    /* One that everybody may, so that a table in which all is refused proves something. */
    {"getpid", SYS_getpid, 20, {0}},
    {"socket AF_ALG", SYS_socket, 359, {38 /* AF_ALG */, SOCK_SEQPACKET, 0}},
    {"socket AF_PACKET", SYS_socket, 359, {AF_PACKET, SOCK_RAW, 0x300}},
    {"socket AF_VSOCK", SYS_socket, 359, {40 /* AF_VSOCK */, SOCK_STREAM, 0}},
    {"socket AF_KEY", SYS_socket, 359, {15 /* AF_KEY */, SOCK_RAW, 2}},
    {"socket AF_XDP", SYS_socket, 359, {44 /* AF_XDP */, SOCK_RAW, 0}},
    {"socket AF_BLUETOOTH", SYS_socket, 359, {31 /* AF_BLUETOOTH */, SOCK_RAW, 1}},
    {"socket netlink netfilter", SYS_socket, 359, {AF_NETLINK, SOCK_RAW, 12}},
    {"socket netlink audit", SYS_socket, 359, {AF_NETLINK, SOCK_RAW, 9}},
    {"socket raw IPv4", SYS_socket, 359, {AF_INET, SOCK_RAW, 1}},
    {"socket raw IPv6", SYS_socket, 359, {AF_INET6, SOCK_RAW, 58}},
    {"io_uring_setup", 425, 425, {4, AT(buffer)}},
    {"userfaultfd", SYS_userfaultfd, 374, {O_CLOEXEC}},
    {"bpf", SYS_bpf, 357, {0, AT(buffer), 72}},
    {"perf_event_open", SYS_perf_event_open, 336, {AT(buffer), 0, -1, -1, 0}},
    {"keyctl", SYS_keyctl, 288, {0, -3, 1}},
    {"add_key", SYS_add_key, 286, {AT("user"), AT("x"), AT("x"), 1, -3}},
    {"request_key", SYS_request_key, 287, {AT("user"), AT("x"), 0, 0}},
    {"ptrace attach", SYS_ptrace, 26, {16 /* PTRACE_ATTACH */, 0x7fffffff, 0, 0}},
    {"ptrace traceme", SYS_ptrace, 26, {0, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, 347, {1, AT(buffer), 0, AT(buffer), 0}},
    {"process_vm_writev", SYS_process_vm_writev, 348, {1, AT(buffer), 0, AT(buffer), 0}},
    {"pidfd_getfd", 438, 438, {-1, 0, 0}},
    {"kcmp", SYS_kcmp, 349, {1, 1, 0, 0, 0}},
    {"mount", SYS_mount, 21, {AT("x"), AT("/nowhere"), AT("tmpfs"), 0, 0}},
    {"umount2", SYS_umount2, 52, {AT("/nowhere"), 0}},
    {"pivot_root", SYS_pivot_root, 217, {AT("/nowhere"), AT("/nowhere")}},
    {"chroot", SYS_chroot, 61, {AT("/")}},
    {"open_tree", 428, 428, {-100, AT("/tmp"), 1 /* OPEN_TREE_CLONE */}},
    {"move_mount", 429, 429, {-1, AT(""), -100, AT("/tmp"), 4}},
    {"fsopen", 430, 430, {AT("tmpfs"), 0}},
    {"fsmount", 432, 432, {-1, 0, 0}},
    {"mount_setattr", 442, 442, {-100, AT("/tmp"), 0, AT(buffer), 32}},
    {"unshare user", SYS_unshare, 310, {NEW(USER)}},
    {"unshare mount", SYS_unshare, 310, {NEW(NS)}},
    {"unshare network", SYS_unshare, 310, {NEW(NET)}},
    {"clone user", SYS_clone, 120, {NEW(USER) | 17, 0, 0, 0, 0}},
    {"clone3", 435, 435, {AT(buffer), 88}},
    {"setns", SYS_setns, 346, {-1, 0}},
    {"init_module", SYS_init_module, 128, {AT(buffer), 4096, AT("")}},
    {"finit_module", SYS_finit_module, 350, {-1, AT(""), 0}},
    {"delete_module", SYS_delete_module, 129, {AT("nothing"), O_NONBLOCK}},
    {"kexec_load", SYS_kexec_load, 283, {0, 0, 0, 0}},
    {"kexec_file_load", SYS_kexec_file_load, 0, {-1, -1, 0, 0, 0}},
    {"reboot", SYS_reboot, 88, {0, 0, 0, 0}},
    {"swapon", SYS_swapon, 87, {AT("/nowhere"), 0}},
    {"swapoff", SYS_swapoff, 115, {AT("/nowhere")}},
    {"syslog", SYS_syslog, 103, {3, AT(buffer), 4096}},
    {"acct", SYS_acct, 51, {AT("/nowhere")}},
    {"quotactl", SYS_quotactl, 131, {0x800001, AT("/nowhere"), 0, 0}},
    {"settimeofday", SYS_settimeofday, 79, {0, 0}},
    {"clock_settime", SYS_clock_settime, 264, {0, 0}},
    {"clock_adjtime", SYS_clock_adjtime, 343, {0, AT(buffer)}},
    {"sethostname", SYS_sethostname, 74, {AT("zos"), 3}},
    {"setdomainname", SYS_setdomainname, 121, {AT("(none)"), 6}},
    {"iopl", SYS_iopl, 110, {3}},
    {"ioperm", SYS_ioperm, 101, {0x80, 1, 1}},
    {"modify_ldt", SYS_modify_ldt, 123, {0, AT(buffer), 64}},
    {"personality READ_IMPLIES_EXEC", SYS_personality, 136, {0x0400000}},
    {"name_to_handle_at", SYS_name_to_handle_at, 341, {-100, AT("/"), AT(buffer), AT(buffer), 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, 342, {-100, AT(buffer), 0}},
    {"fanotify_init", SYS_fanotify_init, 338, {0, 0}},
    {"lookup_dcookie", SYS_lookup_dcookie, 253, {0, AT(buffer), 4096}},
    {"move_pages", SYS_move_pages, 317, {1, 0, 0, 0, 0}},
    {"migrate_pages", SYS_migrate_pages, 294, {1, 0, 0, 0}},
    {"process_madvise", 440, 440, {-1, 0, 0, 0, 0}},
    {"memfd_secret", 447, 447, {0}},
    {"vhangup", SYS_vhangup, 111, {0}},
    {"statmount", 457, 457, {0, 0, 0, 0}},
    {"lsm_list_modules", 461, 461, {AT(buffer), AT(buffer), 0}},
    {0, 0, 0, {0}},
};

static const struct file FILES[] = {
    {"/proc/self/status", O_RDONLY},
    {"/tmp/own", O_WRONLY | O_CREAT},
    {"/proc/sysrq-trigger", O_WRONLY},
    {"/proc/kcore", O_RDONLY},
    {"/proc/kallsyms", O_WRONLY},
    {"/proc/kmsg", O_RDONLY},
    {"/proc/keys", O_RDONLY},
    {"/proc/timer_list", O_RDONLY},
    {"/proc/1/root/etc/passwd", O_WRONLY},
    {"/proc/sys/kernel/core_pattern", O_WRONLY},
    {"/proc/sys/kernel/modprobe", O_WRONLY},
    {"/proc/sys/vm/panic_on_oom", O_WRONLY},
    {"/proc/sys/net/ipv4/ip_forward", O_WRONLY},
    {"/proc/bus/pci/devices", O_WRONLY},
    {"/proc/irq/default_smp_affinity", O_WRONLY},
    {"/proc/acpi/wakeup", O_RDONLY},
    {"/sys/kernel/security/lockdown", O_WRONLY},
    {"/sys/kernel/uevent_helper", O_WRONLY},
    {"/sys/power/state", O_WRONLY},
    {"/sys/firmware/dmi/tables/DMI", O_RDONLY},
    {"/sys/fs/cgroup/cgroup.procs", O_WRONLY},
    {"/sys/fs/cgroup/memory.max", O_WRONLY},
    {"/sys/fs/cgroup/cgroup.kill", O_WRONLY},
    {"/dev/mem", O_RDONLY},
    {"/dev/port", O_RDONLY},
    {"/dev/kmsg", O_RDONLY},
    {"/dev/vda", O_RDONLY},
    {"/dev/loop-control", O_RDONLY},
    {"/dev/mapper/control", O_RDONLY},
    {"/dev/net/tun", O_RDONLY},
    {"/dev/tpm0", O_RDONLY},
    {"/dev/kvm", O_RDONLY},
    {"/dev/fuse", O_RDONLY},
    {"/dev/tty0", O_RDONLY},
    {"/dev/ttyS0", O_WRONLY},
    {"/run/zos/agent/alive", O_WRONLY},
    {"/run/zos/crun", O_RDONLY},
    {"/data", O_RDONLY},
    {0, 0},
};

#endif
