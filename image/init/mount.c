/* The mounts of both stages. Nothing is executable, a device or setuid where it need not be. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "init.h"

#define STRICT (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define PATH_BYTES 128

struct mounting {
  const char *type;
  const char *path;
  unsigned long flags;
  const char *options;
  bool moves; /* goes from the first stage to the second */
};

/* In order: what holds a mount point comes before what is mounted there. */
static const struct mounting MOUNTS[] = {
    {"proc", "/proc", STRICT, 0, true},
    {"sysfs", "/sys", STRICT, 0, true},
    {"cgroup2", "/sys/fs/cgroup", STRICT, "nsdelegate", false},
    {"securityfs", "/sys/kernel/security", STRICT, 0, false},
    {"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755", true},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0600,ptmxmode=0666", false},
    {"tmpfs", "/dev/shm", STRICT, "mode=1777,size=16m", false},
    {"mqueue", "/dev/mqueue", STRICT, 0, false},
    /* Root folders of containers are mounts of their own: nothing is run from here. */
    {"tmpfs", "/run", STRICT, "mode=0755,size=25%", true},
    /* An image mounted from a file has to lie on ramfs: tmpfs can't serve erofs (read_folio). */
    {"ramfs", "/run/zos/boot", STRICT, "mode=0700", false},
    {"tmpfs", "/tmp", STRICT, "mode=1777,size=10%", true},
    {"tmpfs", "/var", STRICT, "mode=0755,size=5%", true},
    /* The agent mounts it, where the machine has one. */
    {0, "/data", 0, 0, true},
};

/* Folders in those mounts that a tool expects and does not make. */
static const char *const FOLDERS[] = {"/run/zos", "/run/dhcpcd", "/var/lib", "/var/lib/dhcpcd"};

#define MOUNT_COUNT (sizeof MOUNTS / sizeof *MOUNTS)
#define FOLDER_COUNT (sizeof FOLDERS / sizeof *FOLDERS)

static const char *below(char *buffer, const char *root, const char *path) {
  buffer[0] = 0;
  if (strcmp(root, "/") != 0) strncat(buffer, root, PATH_BYTES / 2);
  strncat(buffer, path, PATH_BYTES / 2 - 1);
  return buffer;
}

void mount_all(const char *root) {
  char path[PATH_BYTES];
  for (size_t i = 0; i < MOUNT_COUNT; i++) {
    const struct mounting *m = &MOUNTS[i];
    if (m->type == 0) continue;
    if (strncmp(m->path, "/run/zos", 8) == 0) mkdir(below(path, root, "/run/zos"), 0755);
    mkdir(below(path, root, m->path), 0755);
    if (mount(m->type, path, m->type, m->flags, m->options) != 0) say("can't mount", path, errno);
  }
  for (size_t i = 0; i < FOLDER_COUNT; i++) mkdir(below(path, root, FOLDERS[i]), 0755);
}

int mount_image(const char *file, const char *target) {
  mkdir(target, 0755);
  return mount(file, target, "erofs", MS_RDONLY | MS_NODEV | MS_NOSUID, 0) == 0 ? 0 : errno;
}

void move_mounts(const char *from, const char *to) {
  char source[PATH_BYTES], target[PATH_BYTES];
  for (size_t i = 0; i < MOUNT_COUNT; i++) {
    if (!MOUNTS[i].moves) continue; /* it goes with the mount it is on */
    below(source, from, MOUNTS[i].path);
    below(target, to, MOUNTS[i].path);
    if (mount(source, target, 0, MS_MOVE, 0) == 0) continue;
    bool isMissing = MOUNTS[i].type == 0 && errno == EINVAL; /* nothing is mounted there */
    if (!isMissing) say("can't move", source, errno);
  }
}
