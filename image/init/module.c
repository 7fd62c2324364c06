/*
 * Loads kernel modules and kernels. The running kernel checks their signatures where it has to, and
 * unpacks modules itself, so the image holds neither kmod nor xz.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

#define MODULE_INIT_COMPRESSED_FILE 4 /* linux/module.h */

int load_module(const char *path, const char *parameters) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  size_t length = strlen(path);
  bool packed = length > 3 && strcmp(path + length - 3, ".xz") == 0;
  long result = syscall(SYS_finit_module, file, parameters,
                        packed ? MODULE_INIT_COMPRESSED_FILE : 0);
  int error = result == 0 || errno == EEXIST ? 0 : errno;
  close(file);
  return error;
}

int load_kernel(const char *kernel, const char *initramfs, const char *arguments) {
  int image = open(kernel, O_RDONLY | O_CLOEXEC);
  if (image < 0) return errno;
  int files = open(initramfs, O_RDONLY | O_CLOEXEC);
  int error = files < 0 ? errno : 0;
  size_t length = strlen(arguments) + 1;
  if (error == 0 && syscall(SYS_kexec_file_load, image, files, length, arguments, 0UL) != 0) {
    error = errno;
  }
  if (files >= 0) close(files);
  close(image);
  return error;
}
