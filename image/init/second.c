/* PID 1 of the second stage: `/sbin/init` in system.erofs. Not as PID 1 it is a tool. */
#include <string.h>
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

static int be_tool(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "load") == 0) return load_all(argv + 2);
  if (argc == 5 && strcmp(argv[1], "kexec") == 0) {
    int error = load_kernel(argv[2], argv[3], argv[4]);
    if (error != 0) say("can't make the new kernel ready", argv[2], error);
    return error == 0 ? 0 : 1;
  }
  say("is no command: init load PATH [PARAMETERS]..., init kexec KERNEL INITRAMFS ARGUMENTS", 0, 0);
  return 2;
}

int main(int argc, char **argv) {
  if (getpid() != 1) return be_tool(argc, argv);
  leave_system(argv);
  watch_signals();
  supervise_agent();
}
