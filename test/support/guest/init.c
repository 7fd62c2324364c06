/*
 * PID 1 of a guest that runs one test script on the released system: its kernel, its modules and
 * its tools, with Node beside them. Put behind the release's first stage, whose modules it loads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void check(const char *what, int result) {
  if (result != 0) printf("guest: %s: error %d\n", what, errno);
}

static void load(const char *path) {
  check(path, (int)syscall(SYS_finit_module, open(path, O_RDONLY), "", 4));
}

int main(void) {
  /* As `KERNEL_UP` has it: from here on it is ours. */
  puts("guest: the kernel is up");
  load("/modules/crc32c_generic.ko.xz");
  load("/modules/libcrc32c.ko.xz");
  load("/modules/erofs.ko.xz");
  mkdir("/system", 0755);
  check("system.erofs", mount("/system.erofs", "/system", "erofs", MS_RDONLY, 0));
  check("/dev", mount("devtmpfs", "/system/dev", "devtmpfs", 0, "mode=0755"));
  check("/proc", mount("proc", "/system/proc", "proc", 0, 0));
  check("/sys", mount("sysfs", "/system/sys", "sysfs", 0, 0));
  check("cgroups", mount("cgroup2", "/system/sys/fs/cgroup", "cgroup2", 0, "nsdelegate"));
  check("/run", mount("tmpfs", "/system/run", "tmpfs", 0, "mode=0755"));
  check("/var", mount("tmpfs", "/system/var", "tmpfs", 0, "mode=0755"));
  /* The guest's own files lie on the first file system, which stays below the new root. */
  check("/tmp", mount("/guest", "/system/tmp", 0, MS_BIND, 0));
  check("chdir", chdir("/system"));
  check("root", mount(".", "/", 0, MS_MOVE, 0));
  check("chroot", chroot("."));
  check("chdir", chdir("/"));
  char *argv[] = {"/tmp/node", "/tmp/script.mjs", 0};
  char *environment[] = {0};
  execve(argv[0], argv, environment);
  check("node", 1);
  return 1;
}
