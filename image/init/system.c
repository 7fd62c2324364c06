/* The two systems of the second stage: the one that runs, and the one to go to or back to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

/* A folder that every image has; the system that does not run is mounted there. */
#define OTHER "/other"
#define BOOT "/run/zos/boot"
#define RENAME_EXCHANGE 2 /* linux/fs.h */
#define IN_MEMORY "init"

/* Of each system there is one in BOOT for the one that runs, and one in BOOT/other. */
static const char *const FILES[] = {
    "/system.erofs", "/boot.json", "/grid.json", "/measurements.json",
};
#define FILE_COUNT (sizeof FILES / sizeof *FILES)

static const char *in(char *buffer, const char *folder, const char *name) {
  return strcat(strcpy(buffer, folder), name);
}

int mount_other(void) { return mount_image(BOOT "/other/system.erofs", OTHER); }

/*
 * The new root has to lie at the very root of the mount namespace, or the kernel refuses to make
 * user namespaces, and with them containers: pivot_root, and no chroot. It takes every process
 * that has the old root along, PID 1 among them.
 */
int switch_systems(void) {
  char one[64], two[64];
  move_mounts("/", OTHER);
  if (syscall(SYS_pivot_root, OTHER, OTHER OTHER) != 0) {
    int error = errno;
    move_mounts(OTHER, "/");
    return error;
  }
  if (chdir("/") != 0) say("can't enter the new root", 0, errno);
  for (size_t i = 0; i < FILE_COUNT; i++) {
    in(one, BOOT, FILES[i]);
    in(two, BOOT "/other", FILES[i]);
    if (syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE) == 0) continue;
    /* One of the two may have none: then it has it afterwards, and the other has not. */
    if (errno == ENOENT && (rename(one, two) == 0 || rename(two, one) == 0)) continue;
    if (errno != ENOENT) say("can't exchange", one, errno);
  }
  return 0;
}

void leave_other(void) {
  if (umount2(OTHER, MNT_DETACH) != 0) say("can't let go of", OTHER, errno);
}

void drop_other(void) {
  leave_other();
  /* What it was called is left for the agent. */
  if (unlink(BOOT "/other/system.erofs") != 0) say("can't remove the other system", 0, errno);
}

void leave_system(char *const *argv) {
  if (strcmp(argv[0], IN_MEMORY) == 0) {
    prctl(PR_SET_NAME, IN_MEMORY);
    return;
  }
  int source = open("/sbin/init", O_RDONLY | O_CLOEXEC);
  int copy = memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ssize_t moved = source < 0 || copy < 0 ? -1 : 1;
  while (moved > 0) moved = sendfile(copy, source, 0, 1 << 20);
  if (moved == 0) {
    fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    char *const again[] = {IN_MEMORY, 0};
    char *const environment[] = {0};
    syscall(SYS_execveat, copy, "", again, environment, AT_EMPTY_PATH);
  }
  say("can't run from memory; an update keeps the old system there", 0, errno);
  if (source >= 0) close(source);
  if (copy >= 0) close(copy);
}
