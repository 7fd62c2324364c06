/* PID 1 of the second stage: `/sbin/init` in system.erofs. Not as PID 1: `init load PATH...`. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

static char *const AGENT_ARGV[] = {"/usr/bin/zos-node", "agent", 0};
static const struct program AGENT = {
    .name = "agent",
    .root = "/",
    .cgroup = "/sys/fs/cgroup/zos/agent/cgroup.procs",
    .argv = AGENT_ARGV,
};

/* Loads modules in the order given, what others need first; the exit status says if all went in. */
static int load_all(char **paths) {
  int status = 0;
  for (; *paths != 0; paths++) {
    int error = load_module(*paths);
    if (error == 0) continue;
    say("can't load", *paths, error);
    status = 1;
  }
  return status;
}

int main(int argc, char **argv) {
  if (getpid() != 1) {
    if (argc > 2 && strcmp(argv[1], "load") == 0) return load_all(argv + 2);
    say("loads modules only: init load PATH...", 0, 0);
    return 2;
  }
  watch_signals();
  mkdir("/sys/fs/cgroup/zos/agent", 0755);
  /* The agent never ends by itself: if it does so with success, it is started again as well. */
  for (;;) {
    supervise(&AGENT);
    say("ended with success, which is not for it to do: starts again", AGENT.name, 0);
    sleep(1);
  }
}
