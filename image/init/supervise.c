/* Runs one program in a cgroup of its own, reaps every orphan, and starts it again when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define BACK_OFF_SECONDS_MAX 60
/* A program that ran this long was well: the next start is at once. */
#define WELL_SECONDS 120
#define STOP_SECONDS 10
#define WATCHDOG_SECONDS 60
#define WDIOC_SETTIMEOUT _IOWR('W', 6, int) /* linux/watchdog.h */

static char *const ENVIRONMENT[] = {
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C", "TZ=UTC", GIVES_MEMORY_BACK, 0,
};

static sigset_t watched;

void watch_signals(void) {
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigaddset(&watched, SIGINT);  /* ctrl-alt-del: restart */
  sigaddset(&watched, SIGTERM); /* power off */
  sigaddset(&watched, SIGHUP);  /* restart, asked for by the agent */
  sigaddset(&watched, SIGUSR1); /* go to the kernel that the agent made ready */
  sigprocmask(SIG_BLOCK, &watched, 0);
  reboot(RB_DISABLE_CAD);
}

time_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

pid_t start(const struct program *program) {
  pid_t child = fork();
  if (child != 0) return child;
  /* "0" is whoever writes it; done before chroot, while the path is ours. */
  if (program->cgroup != 0) {
    int error = write_file(program->cgroup, "0");
    if (error != 0) say("can't enter the cgroup", program->cgroup, error);
  }
  sigprocmask(SIG_UNBLOCK, &watched, 0);
  setsid();
  if (chroot(program->root) != 0 || chdir("/") != 0) _exit(126);
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, 0);
  int error = program->confine == 0 ? 0 : program->confine();
  if (error != 0) say("can't confine the", program->name, error);
  else execve(program->argv[0], program->argv, ENVIRONMENT);
  say("can't start", program->argv[0], errno);
  _exit(127);
}

/* Everything gets the chance to end by itself, then the machine goes down. */
static void shut_down(int how) {
  say(how == RB_POWER_OFF ? "powering off" : "restarting", 0, 0);
  kill(-1, SIGTERM);
  time_t deadline = now() + STOP_SECONDS;
  const struct timespec tick = {0, 100000000};
  while (now() < deadline) {
    pid_t gone = waitpid(-1, 0, WNOHANG);
    if (gone < 0) break;
    if (gone == 0) nanosleep(&tick, 0);
  }
  kill(-1, SIGKILL);
  sync();
  reboot(how);
  say("can't go down", 0, errno);
}

void pause_a_second(void) {
  const struct timespec second = {1, 0};
  int got = sigtimedwait(&watched, 0, &second);
  if (got == SIGTERM) shut_down(RB_POWER_OFF);
  if (got == SIGINT || got == SIGHUP) shut_down(RB_AUTOBOOT);
  if (got == SIGUSR1) shut_down(RB_KEXEC);
}

bool reap(pid_t child, int *status) {
  for (;;) {
    int ended;
    pid_t gone = waitpid(-1, &ended, WNOHANG);
    if (gone <= 0) return false;
    if (gone != child) continue;
    *status = ended;
    return true;
  }
}

static void say_end(const char *name, int status) {
  bool killed = WIFSIGNALED(status);
  char text[64] = "";
  strcat(strcat(text, name), killed ? " ended by signal " : " ended with status ");
  say(with_number(text, (unsigned long)(killed ? WTERMSIG(status) : WEXITSTATUS(status))), 0, 0);
}

void wait_before_next(const char *name, time_t seconds) {
  char text[64] = "starts it again in ";
  say(strcat(with_number(text, (unsigned long)seconds), " s:"), name, 0);
  for (time_t until = now() + seconds; now() < until;) {
    pause_a_second();
    while (waitpid(-1, 0, WNOHANG) > 0) continue;
  }
}

void supervise(const struct program *program) {
  time_t back_off = 1;
  for (;;) {
    time_t started = now();
    pid_t child = start(program);
    if (child < 0) {
      say("can't start", program->name, errno);
    } else {
      int status = 0;
      while (!reap(child, &status)) pause_a_second();
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
      say_end(program->name, status);
    }
    if (now() - started >= WELL_SECONDS) back_off = 1;
    wait_before_next(program->name, back_off);
    back_off = back_off * 2 > BACK_OFF_SECONDS_MAX ? BACK_OFF_SECONDS_MAX : back_off * 2;
  }
}

void feed_watchdog(void) {
  static int watchdog = -1;
  if (watchdog < 0) {
    /* It comes with its driver, which the agent loads. */
    watchdog = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
    if (watchdog < 0) return;
    int seconds = WATCHDOG_SECONDS;
    ioctl(watchdog, WDIOC_SETTIMEOUT, &seconds);
    say("feeds the watchdog", 0, 0);
  }
  ssize_t fed = write(watchdog, "", 1);
  (void)fed;
}
