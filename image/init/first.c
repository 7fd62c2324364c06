/* PID 1 of the first stage: `/init` in the initramfs. Starts the boot program, then what it fetched. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define FIRST "/first"
#define SECOND "/second"
#define BOOT FIRST "/run/zos/boot"

static char *const BOOT_ARGV[] = {"/usr/bin/zos-node", "boot", 0};
static const struct program BOOT_PROGRAM = {
    .name = "boot program",
    .root = FIRST,
    .cgroup = FIRST "/sys/fs/cgroup/zos/boot/cgroup.procs",
    .argv = BOOT_ARGV,
};

/* In the order they need each other; image/modules.ts puts them there under these names. */
static const char *const MODULES[] = {
    "/modules/crc32c_generic.ko.xz",
    "/modules/libcrc32c.ko.xz",
};
#define LAST_MODULE "/modules/erofs.ko.xz"
/* As many reads of images are unpacked at once; for each, a megabyte is kept for ever. */
#define UNPACKING_MAX 16

static void make_cgroups(void) {
  const char *controllers = "+cpu +cpuset +io +memory +pids";
  write_file(FIRST "/sys/fs/cgroup/cgroup.subtree_control", controllers);
  mkdir(FIRST "/sys/fs/cgroup/zos", 0755);
  write_file(FIRST "/sys/fs/cgroup/zos/cgroup.subtree_control", controllers);
  mkdir(FIRST "/sys/fs/cgroup/zos/boot", 0755);
}

/* Ends what the boot program left running: it would hold the first stage's files in memory. */
static void end_first_stage(void) {
  write_file(FIRST "/sys/fs/cgroup/zos/boot/cgroup.kill", "1");
  rmdir(FIRST "/sys/fs/cgroup/zos/boot");
}

/* Never returns when it works: the second stage's PID 1 takes over. */
static void switch_root(void) {
  end_first_stage();
  move_mounts(FIRST, SECOND);
  umount2(FIRST, MNT_DETACH);
  int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (old >= 0) remove_tree(old);
  if (chdir(SECOND) != 0 || mount(".", "/", 0, MS_MOVE, 0) != 0 || chroot(".") != 0) {
    say("can't switch to the second stage", 0, errno);
    return;
  }
  char *const argv[] = {"/sbin/init", 0};
  char *const environment[] = {0};
  execve(argv[0], argv, environment);
  say("can't start", argv[0], errno);
}

static void load(const char *path, const char *parameters) {
  int error = load_module(path, parameters);
  if (error != 0) say("can't load", path, error);
}

/* By itself erofs keeps that megabyte for every processor that the board could ever have. */
static void load_erofs(void) {
  char limit[48] = "zstd_streams=";
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  bool isFew = processors > 0 && processors < UNPACKING_MAX;
  load(LAST_MODULE, with_number(limit, isFew ? (unsigned long)processors : UNPACKING_MAX));
}

/* What was put behind the first stage's archive: by a boot server, or by the kernel before. */
static void hand_on(const char *from, const char *to) {
  if (access(from, F_OK) != 0) return;
  int error = copy_file(from, to);
  if (error != 0) say("can't copy", from, error);
}

int main(void) {
  if (getpid() != 1) return 1;
  watch_signals();
  for (unsigned i = 0; i < sizeof MODULES / sizeof *MODULES; i++) load(MODULES[i], "");
  load_erofs();
  int error = mount_image("/first.erofs", FIRST);
  if (error != 0) {
    say("can't mount first.erofs (is rootfstype=ramfs on the kernel command line?)", 0, error);
  }
  /* The kernel looks for firmware below PID 1's root. */
  if (symlink(FIRST "/usr/lib", "/lib") != 0) say("can't link", "/lib", errno);
  mount_all(FIRST);
  take_no_input(FIRST "/dev/tty0");
  sethostname("zos", 3);
  make_cgroups();
  hand_on("/farm.json", BOOT "/farm.json");
  hand_on("/extended", BOOT "/extended");
  for (;;) {
    supervise(&BOOT_PROGRAM);
    error = mount_image(BOOT "/system.erofs", SECOND);
    if (error == 0) switch_root();
    say("can't mount", "/run/zos/boot/system.erofs", error);
    say("goes back to the", BOOT_PROGRAM.name, 0);
    sleep(5);
  }
}
