/*
 * Starts the courier: the part of the agent that the network talks to. It sees its own executable,
 * the libraries and the settings of names, and nothing else of the node; it is nobody, may nothing,
 * and ends with the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

#define CGROUP "/sys/fs/cgroup/zos/courier"
#define ROOT "/tmp"
#define SOMEBODY 64321
#define STRICT (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
#define RUNNABLE (MS_NOSUID | MS_NODEV | MS_RDONLY)
/* Above every descriptor that it may open: what can call it by this number is the first call. */
#define PROGRAM 1023
#define FILES_MAX 256
#define THREADS_MAX 32

static char *const ARGV[] = {"/usr/bin/zos-node", "courier", 0};
static char *const ENVIRONMENT[] = {
    "PATH=", "HOME=/", "LC_ALL=C", "TZ=UTC", GIVES_MEMORY_BACK, 0,
};

struct view { const char *path; unsigned long flags; bool is_file; };

/* All that it sees. There is no /proc, no /sys, no /dev and no data disk. */
static const struct view VIEWS[] = {
    {"/usr/lib/x86_64-linux-gnu", RUNNABLE, false},
    {"/lib64", RUNNABLE, false},
    {"/etc", STRICT, false},
    {"/run/resolv.conf", STRICT, true},
};

static int show(const struct view *view) {
  char target[64] = ROOT;
  struct stat there;
  if (stat(view->path, &there) != 0) return view->is_file ? 0 : errno;
  strcat(target, view->path);
  if (view->is_file) close(open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  else mkdir(target, 0755);
  if (mount(view->path, target, 0, MS_BIND, 0) != 0) return errno;
  return mount(0, target, 0, MS_BIND | MS_REMOUNT | view->flags, 0) == 0 ? 0 : errno;
}

/* A root folder of its own in memory, of which the machine's is not even the parent any more. */
static int change_root(void) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) != 0) return errno;
  if (mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) != 0) return errno;
  if (mount("tmpfs", ROOT, "tmpfs", STRICT & ~MS_RDONLY, "mode=0755,size=64k") != 0) return errno;
  mkdir(ROOT "/usr", 0755);
  mkdir(ROOT "/usr/lib", 0755);
  mkdir(ROOT "/run", 0755);
  for (size_t i = 0; i < sizeof VIEWS / sizeof *VIEWS; i++) {
    int error = show(&VIEWS[i]);
    if (error != 0) return error;
  }
  if (mount(0, ROOT, 0, MS_REMOUNT | STRICT, "mode=0755,size=64k") != 0) return errno;
  if (chdir(ROOT) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return errno;
  return 0;
}

static int limit(int what, unsigned long most) {
  const struct rlimit both = {most, most};
  return setrlimit(what, &both) == 0 ? 0 : errno;
}

static int give_up_rights(void) {
  for (int capability = 0; capability < 64; capability++) {
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  if (setgroups(0, 0) != 0 || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) != 0) return errno;
  if (setresuid(SOMEBODY, SOMEBODY, SOMEBODY) != 0) return errno;
  int error = limit(RLIMIT_CORE, 0);
  if (error == 0) error = limit(RLIMIT_FSIZE, 0);
  if (error == 0) error = limit(RLIMIT_NPROC, THREADS_MAX);
  if (error == 0) error = limit(RLIMIT_MEMLOCK, 0);
  return error == 0 ? limit(RLIMIT_NOFILE, FILES_MAX) : error;
}

/* What the network could have it hold is no reason for anything else to be short. */
static int enter_cgroup(void) {
  mkdir(CGROUP, 0755);
  write_file(CGROUP "/memory.max", "134217728");
  write_file(CGROUP "/memory.oom.group", "1");
  write_file(CGROUP "/pids.max", "32");
  write_file(CGROUP "/cpu.weight", "50");
  return write_file(CGROUP "/cgroup.procs", "0");
}

static int failed(const char *what, int error) {
  say("can't confine the courier:", what, error);
  return 1;
}

int run_courier(void) {
  pid_t agent = getppid();
  int opened = open(ARGV[0], O_RDONLY | O_CLOEXEC);
  int program = opened < 0 ? -1 : fcntl(opened, F_DUPFD_CLOEXEC, PROGRAM);
  if (program != PROGRAM) return failed("its program", errno);
  close(opened);
  int error = enter_cgroup();
  if (error != 0) return failed("its cgroup", error);
  write_file("/proc/self/oom_score_adj", "500");
  if ((error = change_root()) != 0) return failed("its root", error);
  if ((error = give_up_rights()) != 0) return failed("its rights", error);
  /* After the change of user, which would take it back. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed("its end", errno);
  if (getppid() != agent) return 1;
  if ((error = confine_courier(program)) != 0) return failed("its calls", error);
  syscall(SYS_execveat, program, "", ARGV, ENVIRONMENT, AT_EMPTY_PATH);
  return failed("its start", errno);
}
