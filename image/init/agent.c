/*
 * Runs the agent for ever. A newer system that the agent put beside its own is tried: when it does
 * not say in time that it is well, or ends soon after, the old one is back. Between agent and PID 1
 * there are only an exit status, and files with nothing in them but, from PID 1, one line.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define CGROUP "/sys/fs/cgroup/zos/agent"
#define COURIER "/sys/fs/cgroup/zos/courier"
#define FOLDER "/run/zos/agent"
/* The agent ends with this status to go to the other system. */
#define STATUS_SWITCH 64
/* Touched by the agent while it gets on with its work; longer without it, it is ended. */
#define ALIVE FOLDER "/alive"
#define QUIET_SECONDS 60
/* Until it touches that for the first time: a busy machine may be slow to read it. */
#define BEGIN_SECONDS 180
/* Made by the agent when the directory took its word; until then a new system is on trial. */
#define HEALTHY FOLDER "/healthy"
/*
 * What is new may take so many times as long for that as the last agent did on this very machine
 * and network: a fixed time would call good systems bad where everything is slow.
 */
#define HEALTHY_TIMES 3
#define HEALTHY_SECONDS_MIN 40
#define HEALTHY_SECONDS_MAX 180
#define UNHEALTHY "unhealthy "
/* So long a new system has to stay well until the old one is let go. */
#define STEADY_SECONDS 60
/* For the agent: how its last run ended, and how a trial did. */
#define END FOLDER "/end"
#define BACK FOLDER "/back"
/* Made by the agent to have the other system mounted before it ends: what it reads there is then
 * in memory when the new agent starts. */
#define PREPARE FOLDER "/prepare"
/* What was told to end and does not for so long, the machine's watchdog has to end. */
#define STUCK_SECONDS 30
#define BACK_OFF_SECONDS_MAX 60
/* An agent that ran this long was well: the next start is at once. */
#define WELL_SECONDS 120

static char *const ARGV[] = {"/usr/bin/zos-node", "agent", 0};
static const struct program AGENT = {
    .name = "agent",
    .root = "/",
    .cgroup = CGROUP "/cgroup.procs",
    .argv = ARGV,
    .confine = confine_agent,
};

struct trial {
  bool is_mounted; /* the other system is, and nothing of it runs */
  bool is_on;
  time_t healthy_since; /* 0 until it is */
};

/* Asked for nothing yet, an agent on trial takes half of this. */
#define TRIAL_BYTES_MAX (128ul << 20)
/* Beside an eighth of the machine, which a challenge of the directory may fill. */
#define ANON_BYTES_MAX (256ul << 20)

static unsigned long memory_max, anon_max;
/* How long the last agent took that the directory heard of. */
static time_t heard_after;

static unsigned long least(unsigned long one, unsigned long other) {
  return one < other ? one : other;
}

/*
 * An agent that takes more is ended, and containers are not. The system that it runs from and the
 * one that it fetched count as its own and can't be given back: what is left has to hold the pages
 * of a program that runs, or it only moves pages.
 */
static void limit_memory(void) {
  struct sysinfo machine;
  char text[32] = "";
  if (sysinfo(&machine) != 0) return;
  unsigned long total = machine.totalram * machine.mem_unit;
  memory_max = total / 4 * 3;
  anon_max = least(memory_max / 2, total / 8 + ANON_BYTES_MAX);
  int error = write_file(CGROUP "/memory.max", with_number(text, memory_max));
  if (error != 0) say("can't limit memory of the", AGENT.name, error);
  write_file(CGROUP "/memory.oom.group", "1");
}

/* Everything in the agent's cgroup, its tools too: none may hold a system that has to go. */
static void end_all(void) {
  write_file(COURIER "/cgroup.kill", "1");
  int error = write_file(CGROUP "/cgroup.kill", "1");
  if (error != 0) say("can't end all of the", AGENT.name, error);
}

static bool was_touched(const char *path, struct timespec *last) {
  struct stat file;
  if (stat(path, &file) != 0) return false;
  bool isNew = file.st_mtim.tv_sec != last->tv_sec || file.st_mtim.tv_nsec != last->tv_nsec;
  *last = file.st_mtim;
  return isNew;
}

/* Mounts the other system once, when the agent wants it; what fails is told when it is gone to. */
static void prepare(struct trial *trial) {
  if (trial->is_on || trial->is_mounted || access(PREPARE, F_OK) != 0) return;
  unlink(PREPARE);
  trial->is_mounted = mount_other() == 0;
}

/* The directory took this agent's word: on trial or not, that tells how long it takes here. */
static void look_at_health(struct trial *trial, time_t started) {
  if (trial->healthy_since != 0 || access(HEALTHY, F_OK) != 0) return;
  trial->healthy_since = now();
  heard_after = trial->healthy_since - started;
  if (trial->is_on) say("the new system is well", 0, 0);
}

static void look_at_trial(struct trial *trial) {
  if (trial->healthy_since != 0 && now() - trial->healthy_since >= STEADY_SECONDS) {
    trial->is_on = false;
    drop_other();
    say("the new system stays; the old one is let go", 0, 0);
  }
}

/*
 * In a small machine what can't be given back is then most of what there may be: from there on it
 * would only move pages of programs in and out, for minutes, before the kernel ends anything. In a
 * large one it would be the containers' memory.
 */
static bool is_full(bool is_new) {
  unsigned long taken = read_count(CGROUP "/memory.stat", "anon ");
  return anon_max > 0 && taken > (is_new ? least(anon_max, TRIAL_BYTES_MAX) : anon_max);
}

static time_t healthy_seconds(void) {
  time_t seconds = heard_after * HEALTHY_TIMES;
  if (seconds < HEALTHY_SECONDS_MIN) return HEALTHY_SECONDS_MIN;
  return seconds > HEALTHY_SECONDS_MAX ? HEALTHY_SECONDS_MAX : seconds;
}

/* Why an agent has to be ended, or 0. */
static const char *fault_of(const struct trial *trial, time_t started, time_t seen) {
  bool isNew = trial->is_on && trial->healthy_since == 0;
  if (is_full(isNew)) return "memory";
  if (isNew) return now() - started >= healthy_seconds() ? UNHEALTHY : 0;
  return now() - seen >= (seen == started ? BEGIN_SECONDS : QUIET_SECONDS) ? "hung" : 0;
}

/* Waits for the agent's end; answers why PID 1 ended it, or 0 when it ended by itself. */
static const char *watch(pid_t child, struct trial *trial, int *status) {
  time_t started = now(), seen = started, ended = 0;
  struct timespec touched = {0, 0};
  const char *why = 0;
  was_touched(ALIVE, &touched);
  while (!reap(child, status)) {
    pause_a_second();
    if (was_touched(ALIVE, &touched)) seen = now();
    look_at_health(trial, started);
    if (trial->is_on) look_at_trial(trial);
    prepare(trial);
    if (why == 0) why = fault_of(trial, started, seen);
    if (why != 0 && ended == 0) {
      ended = now();
      kill(child, SIGKILL);
      end_all();
    }
    if (ended == 0 || now() - ended < STUCK_SECONDS) feed_watchdog();
  }
  return why;
}

/* How it ended, in one line: `signal 9`, `status 1`, `memory`, `hung`, `unhealthy 40`. */
static void tell_end(char *text, int status, const char *why) {
  bool isSignal = WIFSIGNALED(status);
  strcpy(text, why != 0 ? why : isSignal ? "signal " : "status ");
  if (why == 0) with_number(text, isSignal ? WTERMSIG(status) : WEXITSTATUS(status));
  else if (strcmp(why, UNHEALTHY) == 0) with_number(text, healthy_seconds());
}

/* One run of the agent, to its end, which is told in `text`. */
static void run_once(struct trial *trial, char *text) {
  int status = 0;
  trial->healthy_since = 0;
  unsigned long before = read_count(CGROUP "/memory.events", "oom_kill ");
  unlink(HEALTHY);
  pid_t child = start(&AGENT);
  if (child < 0) {
    say("can't start", AGENT.name, errno);
    strcpy(text, "unstarted");
    return;
  }
  const char *why = watch(child, trial, &status);
  bool isFull = read_count(CGROUP "/memory.events", "oom_kill ") > before;
  tell_end(text, status, why == 0 && WIFSIGNALED(status) && isFull ? "memory" : why);
}

/* The other way round; on failure the system that runs stays. */
static bool go_to_other(const char *what) {
  end_all();
  int error = switch_systems();
  if (error != 0) say("can't go to the", what, error);
  return error == 0;
}

static bool try_other(bool is_mounted) {
  int error = is_mounted ? 0 : mount_other();
  if (error != 0) say("can't mount the new system", 0, error);
  if (error != 0 || !go_to_other("new system")) {
    make_file(BACK, "unmountable");
    return false;
  }
  say("tries the new system", 0, 0);
  return true;
}

static void come_back(const char *text) {
  say("goes back to the old system:", text, 0);
  make_file(BACK, text);
  if (go_to_other("old system")) drop_other();
}

void supervise_agent(void) {
  struct trial trial = {false, false, 0};
  time_t back_off = 1;
  char text[64], line[128];
  mkdir(CGROUP, 0755);
  mkdir(FOLDER, 0700);
  limit_memory();
  for (;;) {
    time_t started = now();
    run_once(&trial, text);
    make_file(END, text);
    if (trial.is_on) {
      come_back(text);
      trial.is_on = false;
      continue;
    }
    bool isAsked = strcmp(text, "status 64") == 0;
    if (isAsked && access("/run/zos/boot/other/system.erofs", F_OK) == 0) {
      trial = (struct trial){false, try_other(trial.is_mounted), 0};
      continue;
    }
    if (trial.is_mounted) leave_other();
    trial.is_mounted = false;
    strcpy(line, AGENT.name);
    say(strcat(strcat(line, " ended: "), text), 0, 0);
    if (now() - started >= WELL_SECONDS) back_off = 1;
    wait_before_next(AGENT.name, back_off);
    back_off = back_off * 2 > BACK_OFF_SECONDS_MAX ? BACK_OFF_SECONDS_MAX : back_off * 2;
  }
}
