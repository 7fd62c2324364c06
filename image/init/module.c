/* Loads a kernel module; the kernel unpacks it itself, so the image holds neither kmod nor xz. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

#define MODULE_INIT_COMPRESSED_FILE 4 /* linux/module.h */

int load_module(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  size_t length = strlen(path);
  bool packed = length > 3 && strcmp(path + length - 3, ".xz") == 0;
  long result = syscall(SYS_finit_module, file, "", packed ? MODULE_INIT_COMPRESSED_FILE : 0);
  int error = result == 0 || errno == EEXIST ? 0 : errno;
  close(file);
  return error;
}
