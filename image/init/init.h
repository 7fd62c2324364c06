/* PID 1 of Zero-OS: mounts, reaps, starts one program and starts it again. Nothing else. */
#ifndef ZOS_INIT_H
#define ZOS_INIT_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* For the environment of our programs: what was large and is freed goes back to the machine, and
 * stays in no pool (mallopt(3)); a courier that fetched 50 MB would keep 20 of them. */
#define GIVES_MEMORY_BACK "MALLOC_MMAP_THRESHOLD_=32768", "MALLOC_TRIM_THRESHOLD_=131072"

/* What PID 1 starts. argv and environment are constant: the kernel command line can't reach them. */
struct program {
  const char *name;   /* on the console */
  const char *root;   /* its root folder */
  const char *cgroup; /* where its processes are counted */
  char *const *argv;
  int (*confine)(void); /* before it starts, if not 0 */
};

/* console.c: one line on the console, `zos: init ...`, with the error's text when `error` is not 0. */
void say(const char *what, const char *which, int error);
/* Neither the keyboard of this display nor the console's line is listened to from now on. */
void take_no_input(const char *display);
/* A whole number behind a text that has room for it; returns the text. */
char *with_number(char *text, unsigned long number);

/* mount.c: everything the programs expect below `root`; what fails is said and left out. */
void mount_all(const char *root);
/* A file, an erofs image, as the folder `target`. 0 or an errno. */
int mount_image(const char *file, const char *target);
/* Moves all that mount_all mounted from below `from` to below `to`, and the data disk with it. */
void move_mounts(const char *from, const char *to);

/* files.c: whole small files. 0 or an errno. */
int write_file(const char *path, const char *text);
/* Makes the file when it is not there. */
int make_file(const char *path, const char *text);
int copy_file(const char *from, const char *to);
/* The number behind a key in a file of `key number` lines, or 0. */
unsigned long read_count(const char *path, const char *key);
/* Removes a folder's files, without crossing into another mount. */
void remove_tree(int folder);

/* module.c: a module packed or not, by path, with its parameters or "". 0 or an errno. */
int load_module(const char *path, const char *parameters);
/* Makes the kernel ready that the next restart goes to. 0 or an errno. */
int load_kernel(const char *kernel, const char *initramfs, const char *arguments);

/* supervise.c: runs the program until it exits with status 0, again and again with back-off. */
void supervise(const struct program *program);
/* Signals that PID 1 acts on, set before anything is started. */
void watch_signals(void);
/* Starts a program once; its process id, or -1. */
pid_t start(const struct program *program);
/* Reaps whatever has ended; whether `child` was among it, and then its wait status. */
bool reap(pid_t child, int *status);
/* One second of waiting at most; obeys what was asked of PID 1 meanwhile. */
void pause_a_second(void);
/* Reaps and obeys meanwhile. */
void wait_before_next(const char *name, time_t seconds);
/* Feeds the machine's watchdog, once there is one: fed no more, it restarts the machine. */
void feed_watchdog(void);
/* Seconds since some moment; setting the clock does not move it. */
time_t now(void);

/* agent.c: runs the agent for ever, and comes back from a newer system that is not well. */
void supervise_agent(void);

/* confine/filter.c: no more of the kernel than is on a list, for good. 0 or an errno. */
int confine_agent(void);
/* `program` is the descriptor that it is started from. */
int confine_courier(int program);

/* confine/courier.c: becomes the courier, confined. Returns an exit status when it can't. */
int run_courier(void);

/* system.c: the two systems. Puts the one of `/run/zos/boot/other` in the place of the one that
 * runs, which becomes the other one: done twice, everything is as it was. 0 or an errno. */
int switch_systems(void);
/* Mounts the other system, before it can be switched to. 0 or an errno. */
int mount_other(void);
void leave_other(void);
/* Lets go of the other system and of the memory that it takes. */
void drop_other(void);
/* PID 1 runs on from a copy in memory, so that it holds no system. Returns when that is so. */
void leave_system(char *const *argv);

#endif
