/* Whole small files: write, copy, remove. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

int write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  int error = write(file, text, strlen(text)) < 0 ? errno : 0;
  close(file);
  return error;
}

int make_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return errno;
  int error = write(file, text, strlen(text)) < 0 ? errno : 0;
  close(file);
  return error;
}

unsigned long read_count(const char *path, const char *key) {
  char text[1024] = "";
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  char *at = length > 0 ? strstr(text, key) : 0;
  return at == 0 ? 0 : strtoul(at + strlen(key), 0, 10);
}

int copy_file(const char *from, const char *to) {
  int error = 0;
  int source = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (source < 0) return errno;
  int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (target < 0) error = errno;
  ssize_t moved = 1;
  while (error == 0 && moved > 0) {
    moved = sendfile(target, source, 0, 1 << 20);
    if (moved < 0) error = errno;
  }
  if (target >= 0) close(target);
  close(source);
  return error;
}

/* Walks the mount that `folder` is on, and no other; `folder` is closed. */
void remove_tree(int folder) {
  struct stat here, there;
  DIR *list = fdopendir(folder);
  if (list == 0 || fstat(folder, &here) != 0) return;
  for (struct dirent *entry = readdir(list); entry != 0; entry = readdir(list)) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(folder, entry->d_name, &there, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (there.st_dev != here.st_dev) continue;
    if (S_ISDIR(there.st_mode)) {
      int child = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
      if (child >= 0) remove_tree(child);
      unlinkat(folder, entry->d_name, AT_REMOVEDIR);
    } else {
      unlinkat(folder, entry->d_name, 0);
    }
  }
  closedir(list);
}
