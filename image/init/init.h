/* PID 1 of Zero-OS: mounts, reaps, starts one program and starts it again. Nothing else. */
#ifndef ZOS_INIT_H
#define ZOS_INIT_H

#include <stdbool.h>

/* What PID 1 starts. argv and environment are constant: the kernel command line can't reach them. */
struct program {
  const char *name;   /* on the console */
  const char *root;   /* its root folder */
  const char *cgroup; /* where its processes are counted */
  char *const *argv;
};

/* console.c: one line on the console, `zos: init ...`, with the error's text when `error` is not 0. */
void say(const char *what, const char *which, int error);

/* mount.c: everything the programs expect below `root`; what fails is said and left out. */
void mount_all(const char *root);
/* A file, an erofs image, as the folder `target`. 0 or an errno. */
int mount_image(const char *file, const char *target);
/* Moves all that mount_all mounted from below `from` to below `to`. */
void move_mounts(const char *from, const char *to);

/* files.c: whole small files. 0 or an errno. */
int write_file(const char *path, const char *text);
int copy_file(const char *from, const char *to);
/* Removes a folder's files, without crossing into another mount. */
void remove_tree(int folder);

/* module.c: a module packed or not, by path. 0 or an errno. */
int load_module(const char *path);

/* supervise.c: runs the program until it exits with status 0, again and again with back-off. */
void supervise(const struct program *program);
/* Signals that PID 1 acts on, set before anything is started. */
void watch_signals(void);

#endif
