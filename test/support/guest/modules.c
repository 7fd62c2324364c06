/*
 * PID 1 of a guest that tries to load modules, one after the other, and kernels to go to, and tells
 * what the kernel said: its answer to each, and its own words on it. Then the machine ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void try(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/try/%s.ko", name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  long result = syscall(SYS_finit_module, file, "", 0);
  printf("module %s: %s\n", name, result == 0 ? "loaded" : strerror(errno));
  close(file);
}

static void try_kernel(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/try/%s", name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  long result = syscall(SYS_kexec_file_load, file, -1, 1, "", 4 /* KEXEC_FILE_NO_INITRAMFS */);
  printf("kernel %s: %s\n", name, result == 0 ? "loaded" : strerror(errno));
  close(file);
}

static void tell_kernel_log(void) {
  static char record[8192];
  int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
  for (;;) {
    ssize_t length = read(log, record, sizeof record - 1);
    if (length < 0 && errno == EPIPE) continue;
    if (length <= 0) break;
    record[length] = 0;
    char *text = strchr(record, ';');
    if (text == 0) continue;
    text[strcspn(text, "\n")] = 0;
    if (strstr(text, "rejected") || strstr(text, "Lockdown")) printf("kernel %s\n", text + 1);
  }
}

int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  mkdir("/dev", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
  try("unsigned");
  try("foreign");
  try("ours");
  try_kernel("changed-kernel");
  tell_kernel_log();
  printf("modules tried\n");
  reboot(RB_AUTOBOOT);
  return 1;
}
