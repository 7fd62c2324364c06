/*
 * What a program may ask of the kernel from here on: seccomp filters, in the language of classic
 * BPF (linux/filter.h), out of the lists that image/node/confinement.ts gives with a reason for each.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"
#include "confinement.h"

/* linux/bpf_common.h, linux/seccomp.h, linux/audit.h: the C library does not have them. */
#define LOAD 0x20
#define AND 0x54
#define IF_EQUAL 0x15
#define IF_AT_LEAST 0x35
#define RETURN 0x06
#define NUMBER_AT 0
#define GATE_AT 4
#define ARGUMENT_AT(n) (16 + 8 * (n))
#define KILL 0x80000000u
#define REFUSE(error) (0x00050000u | (error))
#define ALLOW 0x7fff0000u
#define GATE_X86_64 0xc000003eu
#define GATE_X32 0x40000000u
#define MODE_FILTER 2
#define THREAD 0x00010000u
#define NAMESPACES 0x7e020080u
#define STEPS_MAX 512

struct step { uint16_t code; uint8_t if_so, if_not; uint32_t value; };
struct steps { uint16_t count; struct step *first; };

static struct step steps[STEPS_MAX];
static uint16_t count;

static void add(uint16_t code, uint32_t value, uint8_t if_so, uint8_t if_not) {
  if (count < STEPS_MAX) steps[count++] = (struct step){code, if_so, if_not, value};
}

/* By any other gate than that of 64-bit programs the numbers mean something else. */
static void begin(void) {
  count = 0;
  add(LOAD, GATE_AT, 0, 0);
  add(IF_EQUAL, GATE_X86_64, 1, 0);
  add(RETURN, KILL, 0, 0);
  add(LOAD, NUMBER_AT, 0, 0);
  add(IF_AT_LEAST, GATE_X32, 0, 1);
  add(RETURN, KILL, 0, 0);
}

static void each(const unsigned short *calls, size_t length, uint32_t answer) {
  for (size_t i = 0; i < length; i++) {
    add(IF_EQUAL, calls[i], 0, 1);
    add(RETURN, answer, 0, 0);
  }
}

/* A call that exists when one argument, after `mask`, is one of these. */
static void in_part(int call, int argument, uint32_t mask, const uint32_t *values, uint8_t length) {
  add(IF_EQUAL, (uint32_t)call, 0, (uint8_t)(length + 4));
  add(LOAD, (uint32_t)ARGUMENT_AT(argument), 0, 0);
  add(AND, mask, 0, 0);
  for (uint8_t i = 0; i < length; i++) add(IF_EQUAL, values[i], (uint8_t)(length - i), 0);
  add(RETURN, REFUSE(EPERM), 0, 0);
  add(RETURN, ALLOW, 0, 0);
}

static void one_of(int call, int argument, uint32_t mask, uint32_t value) {
  in_part(call, argument, mask, &value, 1);
}

static int install(uint32_t otherwise) {
  add(RETURN, otherwise, 0, 0);
  const struct steps program = {count, steps};
  if (count >= STEPS_MAX) return E2BIG;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return prctl(PR_SET_SECCOMP, MODE_FILTER, &program, 0, 0) == 0 ? 0 : errno;
}

int confine_agent(void) {
  for (int capability = 0; capability < 64; capability++) {
    if ((AGENT_CAPABILITIES >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  /* What a program held when it crashed is nobody's to read. */
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  begin();
  each(AGENT_REFUSED, sizeof AGENT_REFUSED / sizeof *AGENT_REFUSED, REFUSE(EPERM));
  return install(ALLOW);
}

int confine_courier(int program) {
  static const uint32_t families[] = {2, 10}; /* AF_INET, AF_INET6 */
  /* FIONBIO, FIOCLEX, FIONREAD, TCGETS */
  static const uint32_t controls[] = {0x5421, 0x5451, 0x541b, 0x5401};
  begin();
  each(COURIER_CALLS, sizeof COURIER_CALLS / sizeof *COURIER_CALLS, ALLOW);
  /* Neither for writing, nor to be made, emptied or grown: O_CLOEXEC and the like alone. */
  one_of(SYS_openat, 2, 03 | 0100 | 01000 | 02000 | 020000000, 0);
  in_part(SYS_socket, 0, ~0u, families, 2);
  one_of(SYS_clone, 0, THREAD | NAMESPACES, THREAD);
  in_part(SYS_ioctl, 1, ~0u, controls, 4);
  one_of(SYS_prctl, 0, ~0u, PR_SET_NAME);
  one_of(SYS_prlimit64, 2, ~0u, 0);
  one_of(SYS_tgkill, 0, ~0u, (uint32_t)getpid());
  one_of(SYS_execveat, 0, ~0u, (uint32_t)program);
  return install(REFUSE(ENOSYS));
}
