/* SPDX-License-Identifier: MIT */
/* A connection that lasts until its peer ends it, in the least that a process can be. */
#include <unistd.h>

int main(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
