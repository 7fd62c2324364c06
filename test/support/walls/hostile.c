/*
 * What a hostile tenant would try, one try a line: `name<TAB>answer`. Each is made in a child of its
 * own, so that a filter that ends the caller is seen. The arguments are such that a try that gets
 * through says so and does no harm, for the same is done as root on the node, to compare.
 *
 *   hostile calls [32-BIT PROGRAM]   system calls, by the gates of 64-bit and 32-bit programs
 *   hostile files                    what must not open for writing or reading
 *   hostile net TCP|UDP ADDRESS PORT ...
 *   hostile bomb                     forks without end
 *   hostile hog                      takes memory without end
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

/* A file that is the null device and nothing else. */
#define MASKED 200
#define ABSTRACT "\0zos-hostile"
#define ABSTRACT_LENGTH (offsetof(struct sockaddr_un, sun_path) + sizeof ABSTRACT - 1)

/* The 32-bit gate. Pointers have to lie low: this program is linked to a fixed, low address. */
static long call32(const struct try *try) {
  long result;
  __asm__ volatile("push %%rbx; push %%rbp; mov %2, %%ebx; xor %%ebp, %%ebp; int $0x80;"
                   "pop %%rbp; pop %%rbx"
                   : "=a"(result)
                   : "a"(try->nr32), "r"((int)try->args[0]), "c"(try->args[1]), "d"(try->args[2]),
                     "S"(try->args[3]), "D"(try->args[4])
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
}

static const char *name_of(int error) {
  switch (error) {
  case 0: return "done";
  case MASKED: return "masked";
  case EPERM: return "EPERM";
  case ENOENT: return "ENOENT";
  case EACCES: return "EACCES";
  case EINVAL: return "EINVAL";
  case EFAULT: return "EFAULT";
  case EBADF: return "EBADF";
  case ENOSYS: return "ENOSYS";
  case EROFS: return "EROFS";
  case ESRCH: return "ESRCH";
  case ENXIO: return "ENXIO";
  case ENODEV: return "ENODEV";
  case EBUSY: return "EBUSY";
  case EAGAIN: return "EAGAIN";
  case E2BIG: return "E2BIG";
  case ENOTBLK: return "ENOTBLK";
  case ENOEXEC: return "ENOEXEC";
  case EAFNOSUPPORT: return "EAFNOSUPPORT";
  case EPROTONOSUPPORT: return "EPROTONOSUPPORT";
  case EOPNOTSUPP: return "EOPNOTSUPP";
  case ENETUNREACH: return "ENETUNREACH";
  case EHOSTUNREACH: return "EHOSTUNREACH";
  case ECONNREFUSED: return "ECONNREFUSED";
  case ETIMEDOUT: return "silence";
  default: return strerror(error);
  }
}

/* The child's errno is its exit status; what ended it otherwise is told as the signal. */
static void tell(const char *name, const char *gate, pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  printf("%s%s\t", name, gate);
  if (WIFSIGNALED(status)) printf("ended by %s\n", strsignal(WTERMSIG(status)));
  else printf("%s\n", name_of(WEXITSTATUS(status)));
}

static void try_calls(const char *plain32) {
  for (const struct try *try = CALLS; try->name != 0; try++) {
    pid_t child = fork();
    if (child == 0) {
      const long *a = try->args;
      _exit(syscall(try->nr64, a[0], a[1], a[2], a[3], a[4]) < 0 ? errno : 0);
    }
    tell(try->name, "", child);
    if (try->nr32 == 0) continue;
    child = fork();
    if (child == 0) {
      long result = call32(try);
      _exit(result < 0 && result > -4096 ? (int)-result : 0);
    }
    tell(try->name, " (32-bit)", child);
  }
  pid_t child = fork();
  if (child == 0) _exit(syscall(0x40000000 + SYS_getpid) < 0 ? errno : 0);
  tell("getpid by the x32 gate", "", child);
  child = fork();
  if (child == 0) {
    execl(plain32, "plain32", (char *)0);
    _exit(errno);
  }
  tell("a 32-bit program", "", child);
}

static void try_files(void) {
  for (const struct file *file = FILES; file->path != 0; file++) {
    pid_t child = fork();
    if (child == 0) {
      char byte;
      int fd = open(file->path, file->flags | O_NONBLOCK | O_CLOEXEC);
      if (fd < 0) _exit(errno);
      /* Some files open for everybody and refuse to be read. */
      bool isRead = (file->flags & O_ACCMODE) == O_RDONLY;
      struct stat found;
      if (fstat(fd, &found) == 0 && S_ISCHR(found.st_mode) && found.st_rdev == 0x103) _exit(MASKED);
      _exit(isRead && read(fd, &byte, 1) < 0 && errno != EAGAIN ? errno : 0);
    }
    tell(file->path, file->flags == O_RDONLY ? " (read)" : " (write)", child);
  }
  mode_t block = S_IFBLK | 0600, character = S_IFCHR | 0600;
  int made = mknod("/tmp/disk", block, 0xfe00);
  printf("make a disk's device\t%s\n", made == 0 ? "done" : name_of(errno));
  made = mknod("/tmp/memory", character, 0x101);
  printf("make a memory device\t%s\n", made == 0 ? "done" : name_of(errno));
  unlink("/tmp/disk");
  unlink("/tmp/memory");
  made = mkdir("/sys/fs/cgroup/out", 0755);
  printf("make a cgroup\t%s\n", made == 0 ? "done" : name_of(errno));
  rmdir("/sys/fs/cgroup/out");
}

static int set_address(struct sockaddr_storage *to, const char *text, const char *port) {
  struct sockaddr_in *v4 = (void *)to;
  struct sockaddr_in6 *v6 = (void *)to;
  memset(to, 0, sizeof *to);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((unsigned short)atoi(port));
    return sizeof *v4;
  }
  char copy[64] = "";
  strncpy(copy, text, sizeof copy - 1);
  char *scope = strchr(copy, '%');
  if (scope != 0) *scope = 0;
  inet_pton(AF_INET6, copy, &v6->sin6_addr);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons((unsigned short)atoi(port));
  v6->sin6_scope_id = scope == 0 ? 0 : (unsigned)atoi(scope + 1);
  return sizeof *v6;
}

/* A connection that is made, or a datagram that is answered; else why not. */
static int reach(const char *kind, const char *address, const char *port) {
  struct sockaddr_storage to;
  int length = set_address(&to, address, port), error = 0, yes = 1;
  socklen_t size = sizeof error;
  int type = strcmp(kind, "TCP") == 0 ? SOCK_STREAM : SOCK_DGRAM;
  int fd = socket(to.ss_family, type | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
  struct pollfd wait = {fd, type == SOCK_STREAM ? POLLOUT : POLLIN, 0};
  if (type == SOCK_STREAM) {
    if (connect(fd, (void *)&to, (socklen_t)length) != 0 && errno != EINPROGRESS) return errno;
  } else if (sendto(fd, "hello", 5, 0, (void *)&to, (socklen_t)length) < 0) {
    return errno;
  }
  if (poll(&wait, 1, 1500) <= 0) return ETIMEDOUT;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  close(fd);
  return error;
}

static void try_net(char **wish) {
  for (; wish[0] != 0 && wish[1] != 0 && wish[2] != 0; wish += 3) {
    pid_t child = fork();
    if (child == 0) _exit(reach(wish[0], wish[1], wish[2]));
    char name[160];
    snprintf(name, sizeof name, "%s %s %s", wish[0], wish[1], wish[2]);
    tell(name, "", child);
  }
  /* A socket of the node's that has no file: only the network namespace keeps it apart. */
  struct sockaddr_un abstract = {AF_UNIX, ABSTRACT};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  int result = connect(fd, (void *)&abstract, ABSTRACT_LENGTH);
  printf("a nameless socket of the node\t%s\n", result == 0 ? "done" : name_of(errno));
}

static void bomb(void) {
  puts("bomb");
  for (;;) fork();
}

/* Memory of all kinds: pages, files in memory, shared memory, pipes that nobody reads. */
static void hog(void) {
  puts("hog");
  for (int child = 0; child < 4; child++) {
    if (fork() == 0) break;
  }
  static char block[1 << 16];
  int file = open("/tmp/hog", O_RDWR | O_CREAT, 0600);
  for (;;) {
    char *more = mmap(0, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more != MAP_FAILED) memset(more, 1, 1 << 22);
    int pipes[2];
    if (pipe2(pipes, O_NONBLOCK) == 0) write(pipes[1], block, sizeof block);
    write(file, block, sizeof block);
    int shared = memfd_create("hog", 0);
    if (shared >= 0) write(shared, block, sizeof block);
  }
}

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "calls") == 0) try_calls(argc > 2 ? argv[2] : "/bin/plain32");
  if (strcmp(what, "files") == 0) try_files();
  if (strcmp(what, "net") == 0) try_net(argv + 2);
  if (strcmp(what, "bomb") == 0) bomb();
  if (strcmp(what, "hog") == 0) hog();
  puts("tried");
  return 0;
}
