/* Lines on the console. stdio is left out: it is most of what a static program weighs. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

#define KDSKBMODE 0x4B45 /* linux/kd.h */
#define K_OFF 4

/*
 * Nobody types anything here. Without a keyboard no other terminal comes before the screen and none
 * is scrolled away; a serial port that took Ctrl-S would hold up whoever writes on it.
 */
void take_no_input(const char *display) {
  int screen = open(display, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (screen >= 0) {
    ioctl(screen, KDSKBMODE, K_OFF);
    close(screen);
  }
  struct termios terminal;
  if (tcgetattr(2, &terminal) != 0) return;
  terminal.c_iflag &= ~(tcflag_t)(IXON | IXOFF | BRKINT);
  terminal.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
  terminal.c_cflag &= ~(tcflag_t)CREAD;
  tcsetattr(2, TCSANOW, &terminal);
}

void say(const char *what, const char *which, int error) {
  char line[256] = "zos: init ";
  size_t room = sizeof line - 2;
  strncat(line, what, room - strlen(line));
  if (which != 0) {
    strncat(line, " ", room - strlen(line));
    strncat(line, which, room - strlen(line));
  }
  if (error != 0) {
    strncat(line, ": ", room - strlen(line));
    strncat(line, strerror(error), room - strlen(line));
  }
  strcat(line, "\n");
  ssize_t written = write(2, line, strlen(line));
  (void)written;
}

char *with_number(char *text, unsigned long number) {
  char digits[24], *at = digits + sizeof digits - 1;
  *at = 0;
  do *--at = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return strcat(text, at);
}
