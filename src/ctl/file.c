/* SPDX-License-Identifier: MIT */
#include "ctl/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/memory.h"

int file_write(int fd, struct slice content)
{
	while (content.len > 0) {
		ssize_t n = write(fd, content.p, content.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			content = slice_from(content, (size_t)n);
	}
	return 0;
}

int file_replace(int directory, const char *name, mode_t mode, struct slice content)
{
	/* nobody else's file or symbolic link, which could be in a directory such as /tmp */
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	char *new = memory_print(".%s.%d", name, getpid());
	int r, fd;

	(void)unlinkat(directory, new, 0); /* of an earlier process that was killed */
	fd = openat(directory, new, flags, mode);
	r = fd < 0 ? -errno : file_write(fd, content);
	/* else the renamed file might be empty after a power failure */
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(directory, new, directory, name) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		(void)unlinkat(directory, new, 0);
	free(new);
	return r;
}
