/*
 * A door for journeys, never for production: linked with PID 1's own source into the /init of a
 * test's extra initramfs, it forks before main() and takes orders on the second serial port, so
 * that a test can kill the agent in a machine that nobody can log in to. system.erofs is untouched.
 *
 *   kill      SIGKILL to every process in the agent's control group   -> "killed N"
 *   stop      SIGSTOP to them: they stand still                        -> "stopped N"
 *   memory    MemTotal and MemAvailable in KiB                        -> "memory T A"
 *   listen    TCP sockets in state LISTEN, in the host's namespace    -> "listen N"
 *   panic     a kernel panic; there is no answer
 *   restart   asks PID 1 to restart the machine                       -> "restart 0"
 *   freeze    PID 1 stands still from now on                           -> "freeze 0"
 *   start P   when process P started, in clock ticks since boot       -> "start T"
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int proc = -1;

/* Opens below /proc, through a descriptor that outlives PID 1's change of root. */
static FILE *open_proc(const char *path) {
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopen(fd, "r");
}

static int signal_agent(int number) {
	int pid, killed = 0;
	FILE *file = open_proc("1/root/sys/fs/cgroup/zos/agent/cgroup.procs");
	if (!file) return -1;
	while (fscanf(file, "%d", &pid) == 1)
		if (pid > 1 && kill(pid, number) == 0) killed++;
	fclose(file);
	return killed;
}

static long memory_kib(const char *field) {
	char line[200];
	long kib = -1;
	FILE *file = open_proc("meminfo");
	if (!file) return -1;
	while (fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0) kib = atol(line + strlen(field));
	fclose(file);
	return kib;
}

/* The fourth column of /proc/net/tcp is the state; 0A is LISTEN. */
static int listeners_in(const char *path) {
	char line[300], state[8];
	int count = 0;
	FILE *file = open_proc(path);
	if (!file) return -1;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %*s %*s %7s", state) == 1 && strcmp(state, "0A") == 0) count++;
	fclose(file);
	return count;
}

/* The 22nd field of /proc/PID/stat, counted from behind the last bracket of the name. */
static long long start_ticks(int pid) {
	char path[40], line[1000], *at;
	long long ticks = -1;
	snprintf(path, sizeof path, "%d/stat", pid);
	FILE *file = open_proc(path);
	if (!file) return -1;
	if (fgets(line, sizeof line, file) && (at = strrchr(line, ')'))) {
		char *field = strtok(at + 1, " ");
		for (int n = 3; field && n < 22; n++) field = strtok(NULL, " ");
		if (field) ticks = atoll(field);
	}
	fclose(file);
	return ticks;
}

static int panic(void) {
	int fd = openat(proc, "sysrq-trigger", O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "c", 1) != 1;
}

static int write_in(int folder, const char *name, const char *text) {
	int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, strlen(text)) < 0;
}

/* PID 1 stands still, as when the kernel does not let anybody run. */
static int freeze(void) {
	int zos = openat(proc, "1/root/sys/fs/cgroup/zos", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (zos < 0 || mkdirat(zos, "frozen", 0755) != 0) return 1;
	return write_in(zos, "frozen/cgroup.procs", "1") || write_in(zos, "frozen/cgroup.freeze", "1");
}

static void answer(FILE *port, char *order) {
	order[strcspn(order, "\r\n")] = 0;
	if (strcmp(order, "kill") == 0) fprintf(port, "killed %d\n", signal_agent(SIGKILL));
	else if (strcmp(order, "stop") == 0)
		fprintf(port, "stopped %d\n", signal_agent(SIGSTOP));
	else if (strcmp(order, "memory") == 0)
		fprintf(port, "memory %ld %ld\n", memory_kib("MemTotal:"), memory_kib("MemAvailable:"));
	else if (strcmp(order, "listen") == 0)
		fprintf(port, "listen %d\n", listeners_in("1/net/tcp") + listeners_in("1/net/tcp6"));
	else if (strcmp(order, "panic") == 0) fprintf(port, "panic %d\n", panic());
	else if (strcmp(order, "restart") == 0) fprintf(port, "restart %d\n", kill(1, SIGINT));
	else if (strcmp(order, "freeze") == 0) fprintf(port, "freeze %d\n", freeze());
	else if (strncmp(order, "start ", 6) == 0)
		fprintf(port, "start %lld\n", start_ticks(atoi(order + 6)));
	else fprintf(port, "unknown\n");
	fflush(port);
}

/* The first stage keeps its mounts below /first; descriptors of them stay good when they move. */
static void serve(void) {
	char order[100];
	int port = -1;
	struct termios raw;
	while ((proc = open("/first/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	       faccessat(proc, "self", F_OK, 0) != 0) {
		if (proc >= 0) close(proc);
		usleep(20000);
	}
	while ((port = open("/first/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) usleep(20000);
	tcgetattr(port, &raw);
	cfmakeraw(&raw);
	tcsetattr(port, TCSANOW, &raw);
	FILE *in = fdopen(port, "r"), *out = fdopen(dup(port), "w");
	while (fgets(order, sizeof order, in)) answer(out, order);
	_exit(0);
}

__attribute__((constructor)) static void open_door(void) {
	if (getpid() != 1) return;
	if (fork() == 0) serve();
}
