/* A 32-bit program that does nothing but end well. */
.code32
.globl _start
_start:
  movl $1, %eax
  xorl %ebx, %ebx
  int $0x80
