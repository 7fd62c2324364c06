/* PID 1 of the second stage: `/sbin/init` in system.erofs. Not as PID 1 it is a tool. */
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init.h"

/*
 * Loads modules in the order given, what others need first; the exit status says if all went in.
 * What is no path are the parameters of the module before it.
 */
static int load_all(char **paths) {
  int status = 0;
  for (; *paths != 0; paths++) {
    const char *path = *paths;
    bool hasParameters = paths[1] != 0 && paths[1][0] != '/';
    int error = load_module(path, hasParameters ? *++paths : "");
    if (error == 0) continue;
    say("can't load", path, error);
    status = 1;
  }
  return status;
}

/* linux/ethtool.h and linux/sockios.h, which musl has not. */
#define SIOCETHTOOL 0x8946
#define ETHTOOL_GWOL 5
#define ETHTOOL_SWOL 6
#define WAKE_MAGIC (1 << 5)
struct wake_options {
  uint32_t command, supported, options;
  uint8_t password[6];
};

/* Has a network card wake the machine when it is called by a magic packet. 0 or an errno. */
static int arm(const char *link) {
  struct wake_options wake = {.command = ETHTOOL_GWOL};
  struct ifreq request = {.ifr_data = (void *)&wake};
  int socket_of = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_of < 0) return errno;
  strncpy(request.ifr_name, link, IFNAMSIZ - 1);
  int error = ioctl(socket_of, SIOCETHTOOL, &request) == 0 ? 0 : errno;
  if (error == 0 && !(wake.supported & WAKE_MAGIC)) error = EOPNOTSUPP;
  wake = (struct wake_options){.command = ETHTOOL_SWOL, .options = WAKE_MAGIC};
  if (error == 0 && ioctl(socket_of, SIOCETHTOOL, &request) != 0) error = errno;
  close(socket_of);
  return error;
}

static int be_tool(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "load") == 0) return load_all(argv + 2);
  if (argc == 2 && strcmp(argv[1], "courier") == 0) return run_courier();
  if (argc == 5 && strcmp(argv[1], "kexec") == 0) {
    int error = load_kernel(argv[2], argv[3], argv[4]);
    if (error != 0) say("can't make the new kernel ready", argv[2], error);
    return error == 0 ? 0 : 1;
  }
  if (argc == 3 && strcmp(argv[1], "arm") == 0) {
    int error = arm(argv[2]);
    if (error != 0) say("can't be woken by", argv[2], error);
    return error == 0 ? 0 : 1;
  }
  say("is no command: init load PATH [PARAMETERS]..., init kexec KERNEL INITRAMFS ARGUMENTS, "
      "init arm LINK, init courier",
      0, 0);
  return 2;
}

int main(int argc, char **argv) {
  if (getpid() != 1) return be_tool(argc, argv);
  leave_system(argv);
  watch_signals();
  supervise_agent();
}
