/*
 * A program in the place of `zos-node` that tries what it may: as `courier` in the confinement of
 * the courier, as `agent` in that of the agent. As `init PATH` it starts a PID 1 in a process
 * namespace of its own. It tells a line for each try, and ends by a call through the 32-bit gate.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confinement.h"

#define CALLS 470
/* Newer kernels let these two past every filter: they do nothing outside of a probe's trampoline. */
#define URETPROBE 335
#define UPROBE 336
#define LENGTH(list) (sizeof(list) / sizeof *(list))

static const char *name_of(int error) {
  static const struct { int error; const char *name; } NAMES[] = {
      {EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {EBADF, "EBADF"}, {ENOSYS, "ENOSYS"},
      {EINVAL, "EINVAL"},
  };
  for (unsigned i = 0; i < LENGTH(NAMES); i++) {
    if (NAMES[i].error == error) return NAMES[i].name;
  }
  return strerror(error);
}

static void tell(const char *what, long result) {
  printf("try %s: %s\n", what, result < 0 ? name_of(errno) : "done");
}

#define TRY(what, call) errno = 0, tell(what, (long)(call))

static int is_in(const unsigned short *list, unsigned length, int call) {
  for (unsigned i = 0; i < length; i++) if (list[i] == call) return 1;
  return 0;
}

/* Those that do not come back, or whose worst arguments look as if they did not exist. */
static int is_left_out(int call) {
  return call == SYS_exit || call == SYS_exit_group || call == SYS_rt_sigreturn ||
         call == SYS_futex || call == URETPROBE ||
         call == UPROBE;
}

static void try_all_calls(void) {
  for (int call = 0; call < CALLS; call++) {
    if (is_left_out(call)) continue;
    errno = 0;
    long result = syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);
    int exists = !(result == -1 && errno == ENOSYS);
    int is_listed = is_in(COURIER_CALLS, LENGTH(COURIER_CALLS), call) ||
                    is_in(COURIER_CALLS_IN_PART, LENGTH(COURIER_CALLS_IN_PART), call);
    if (exists != is_listed) printf("call %d: exists %d, listed %d\n", call, exists, is_listed);
  }
  printf("all calls tried\n");
}

static void try_as_courier(void) {
  struct rlimit more = {4096, 4096};
  TRY("read the data disk", openat(AT_FDCWD, "/data", O_RDONLY));
  TRY("read its own /proc", openat(AT_FDCWD, "/proc/self/status", O_RDONLY));
  TRY("read the agent's folder", openat(AT_FDCWD, "/run/zos/agent/end", O_RDONLY));
  TRY("open a disk", openat(AT_FDCWD, "/dev/vda", O_RDONLY));
  TRY("write a setting", openat(AT_FDCWD, "/etc/hosts", O_WRONLY));
  TRY("make a file", openat(AT_FDCWD, "/new", O_RDWR | O_CREAT, 0600));
  TRY("make a file in memory", syscall(SYS_memfd_create, "x", 0));
  TRY("a local socket", socket(AF_UNIX, SOCK_STREAM, 0));
  TRY("a route socket", socket(AF_NETLINK, SOCK_RAW, 0));
  TRY("a packet socket", socket(17, SOCK_RAW, 0));
  TRY("a crypto socket", socket(38, SOCK_SEQPACKET, 0));
  TRY("a raw socket", socket(AF_INET, SOCK_RAW, 1));
  TRY("a TCP socket", socket(AF_INET, SOCK_STREAM, 0));
  TRY("listen", listen(3, 1));
  TRY("bind", bind(3, 0, 0));
  TRY("accept", accept(3, 0, 0));
  TRY("a process", syscall(SYS_fork));
  TRY("a process by clone", syscall(SYS_clone, 17, 0, 0, 0, 0));
  TRY("a program", execve("/lib64/ld-linux-x86-64.so.2", 0, 0));
  TRY("the first program again", syscall(SYS_execveat, 1023, "", 0, 0, 0x1000));
  TRY("its number", fcntl(0, F_DUPFD, 1023));
  TRY("another user", syscall(SYS_setuid, 0));
  TRY("more files", setrlimit(RLIMIT_NOFILE, &more));
  TRY("a signal to PID 1", syscall(SYS_kill, 1, 9));
  TRY("a thread's signal to PID 1", syscall(SYS_tgkill, 1, 1, 9));
  TRY("a mount", mount("none", "/etc", "tmpfs", 0, 0));
  TRY("a namespace", unshare(CLONE_NEWUSER));
  TRY("ptrace", syscall(SYS_ptrace, 16, 1, 0, 0));
  TRY("bpf", syscall(SYS_bpf, 0, 0, 0));
  TRY("io_uring", syscall(SYS_io_uring_setup, 1, 0));
  TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
  TRY("a keyring", syscall(SYS_keyctl, 0, 0, 0));
  TRY("a module", syscall(SYS_finit_module, 0, "", 0));
  TRY("a restart", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x1234567, 0));
  try_all_calls();
}

static void tell_status(void) {
  char line[256];
  FILE *status = fopen("/proc/self/status", "r");
  while (status != 0 && fgets(line, sizeof line, status) != 0) {
    if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNew", 5) == 0 ||
        strncmp(line, "Seccomp:", 8) == 0) {
      printf("status %s", line);
    }
  }
  struct rlimit core;
  getrlimit(RLIMIT_CORE, &core);
  printf("core %lu\n", (unsigned long)core.rlim_max);
}

static void try_as_agent(void) {
  tell_status();
  for (unsigned i = 0; i < LENGTH(AGENT_REFUSED); i++) {
    errno = 0;
    long result = syscall(AGENT_REFUSED[i], -1L, -1L, -1L, -1L, -1L, -1L);
    if (result != -1 || errno != EPERM) printf("call %d: errno %d\n", AGENT_REFUSED[i], errno);
  }
  printf("all refused calls tried: %u\n", (unsigned)LENGTH(AGENT_REFUSED));
}

static int start_init(char **argv) {
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return 1;
  mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
  pid_t child = fork();
  if (child == 0) {
    /* All of it ends with whoever waits for it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    mount("proc", "/proc", "proc", 0, 0);
    execv(argv[0], argv);
    _exit(127);
  }
  waitpid(child, 0, 0);
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  if (argc > 2 && strcmp(argv[1], "init") == 0) return start_init(argv + 2);
  if (argc > 1 && strcmp(argv[1], "courier") == 0) try_as_courier();
  else try_as_agent();
  /* getpid by the 32-bit gate. */
  long result = 20;
  __asm__ volatile("int $0x80" : "+a"(result));
  printf("the 32-bit gate let it through\n");
  return 0;
}
