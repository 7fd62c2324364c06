/* Lines on the console. stdio is left out: it is most of what a static program weighs. */
#include <string.h>
#include <unistd.h>

#include "init.h"

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
