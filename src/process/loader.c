/* SPDX-License-Identifier: MIT */
/* Paths of the files that are installed with the program. */
#include "process/loader.h"

#include <stdio.h>

int loader_path(const char *file, char ret[static PATH_MAX])
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program));

	if (len < 0)
		return -errno;
	while (len > 0 && program[len - 1] != '/')
		len--;
	len = snprintf(ret, PATH_MAX, "%.*s%s", (int)len, program, file);
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}
